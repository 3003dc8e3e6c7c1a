//! `for` and `tablerow`: every round is taken from the budget, and ranges are never collected.

use super::runtime::{Round, spend, value};
use liquid_core::{
    BlockReflection, Error, Expression, Language, ParseBlock, Renderable, Result, Runtime, TagBlock,
    TagTokenIter, Template, Value, ValueCow,
    model::{ObjectView, Scalar, ValueView},
    parser::{BlockElement, TryMatchToken},
    runtime::{Interrupt, InterruptRegister},
};
use std::{collections::HashMap, io::Write};

/// A loop over a list or a range.
#[derive(Debug, Clone, Copy)]
pub enum Loop {
    /// `{% for %}`
    For,
    /// `{% tablerow %}`
    TableRow,
}

impl BlockReflection for Loop {
    fn start_tag(&self) -> &str {
        match self {
            Self::For => "for",
            Self::TableRow => "tablerow",
        }
    }

    fn end_tag(&self) -> &str {
        match self {
            Self::For => "endfor",
            Self::TableRow => "endtablerow",
        }
    }

    fn description(&self) -> &'static str {
        ""
    }
}

#[derive(Debug)]
enum Source {
    List(Expression),
    Range(Expression, Expression),
}

#[derive(Debug)]
struct Header {
    item: String,
    source: Source,
    name: String,
    limit: Option<Expression>,
    offset: Option<Offset>,
    columns: Option<Expression>,
    reversed: bool,
}

#[derive(Debug)]
enum Offset {
    /// Where the loop of the same name ended.
    Continue,
    At(Expression),
}

/// Where loops ended, for `offset: continue`.
#[derive(Debug, Default)]
struct Ends(HashMap<String, usize>);

impl ParseBlock for Loop {
    fn parse(
        &self,
        mut arguments: TagTokenIter<'_>,
        mut tokens: TagBlock<'_, '_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let header = parse_header(&mut arguments)?;
        let mut body = Vec::new();
        let mut otherwise = None;
        while let Some(element) = tokens.next()? {
            match element {
                BlockElement::Tag(tag) if tag.name() == "else" => {
                    otherwise = Some(Template::new(tokens.parse_all(options)?));
                    break;
                }
                element => body.push(element.parse(&mut tokens, options)?),
            }
        }
        tokens.assert_empty();
        let body = Template::new(body);
        Ok(match self {
            Self::For => Box::new(For { header, body, otherwise }),
            Self::TableRow => Box::new(TableRow { header, body }),
        })
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

fn parse_header(arguments: &mut TagTokenIter<'_>) -> Result<Header> {
    let item = arguments.expect_next("the name of the variable is missing")?;
    let item = item.expect_identifier().into_result()?.to_owned();
    arguments
        .expect_next("\"in\" is missing")?
        .expect_str("in")
        .into_result_custom_msg("\"in\" was expected")?;
    let source = arguments.expect_next("a list or a range is missing")?;
    let written = source.as_str().trim().to_owned();
    let source = match source.expect_range() {
        TryMatchToken::Matches((from, to)) => Source::Range(from, to),
        TryMatchToken::Fails(list) => Source::List(list.expect_value().into_result()?),
    };
    let mut header = Header {
        name: format!("{item}-{written}"),
        item,
        source,
        limit: None,
        offset: None,
        columns: None,
        reversed: false,
    };
    while let Some(token) = arguments.next() {
        let name = token.as_str().trim().to_owned();
        match name.as_str() {
            "," => {}
            "reversed" => header.reversed = true,
            "limit" | "offset" | "cols" => {
                arguments.expect_next("\":\" is missing")?.expect_str(":").into_result()?;
                let value = arguments.expect_next("a number is missing")?;
                if name == "offset" && value.as_str().trim() == "continue" {
                    header.offset = Some(Offset::Continue);
                    continue;
                }
                let value = value.expect_value().into_result()?;
                match name.as_str() {
                    "limit" => header.limit = Some(value),
                    "offset" => header.offset = Some(Offset::At(value)),
                    _ => header.columns = Some(value),
                }
            }
            _ => return Err(token.raise_custom_error("limit, offset, cols or reversed was expected")),
        }
    }
    Ok(header)
}

fn number(expression: &Expression, runtime: &dyn Runtime) -> Option<i64> {
    let value = value(expression, runtime);
    let scalar = value.as_scalar()?;
    let text = scalar.to_kstr();
    scalar.to_integer().or_else(|| text.split('.').next().and_then(|whole| whole.trim().parse().ok()))
}

/// What a loop goes over.
enum Rounds<'v> {
    List(Vec<ValueCow<'v>>),
    Range(i64, usize),
}

impl Rounds<'_> {
    fn len(&self) -> usize {
        match self {
            Self::List(items) => items.len(),
            Self::Range(_, length) => *length,
        }
    }

    fn with<T>(&self, at: usize, act: impl FnOnce(&dyn ValueView) -> T) -> T {
        match self {
            Self::List(items) => act(items[at].as_view()),
            Self::Range(first, _) => {
                act(&Scalar::new(first.saturating_add(i64::try_from(at).unwrap_or(i64::MAX))))
            }
        }
    }
}

impl Header {
    /// Calls `round` for each element with its position among `count`, until it says stop.
    fn each(
        &self,
        runtime: &dyn Runtime,
        mut round: impl FnMut(&dyn ValueView, usize, usize) -> Result<bool>,
    ) -> Result<usize> {
        let list;
        let rounds = match &self.source {
            Source::List(expression) => {
                list = value(expression, runtime);
                Rounds::List(elements(list.as_view()))
            }
            Source::Range(from, to) => {
                let from = number(from, runtime).unwrap_or(0);
                let to = number(to, runtime).unwrap_or(0);
                let length = to.saturating_sub(from).saturating_add(1).max(0);
                Rounds::Range(from, usize::try_from(length).unwrap_or(usize::MAX))
            }
        };
        let all = rounds.len();
        let offset = match &self.offset {
            None => 0,
            Some(Offset::Continue) => {
                let ends = runtime.registers().get_mut::<Ends>();
                ends.0.get(&self.name).copied().unwrap_or(0)
            }
            Some(Offset::At(expression)) => {
                usize::try_from(number(expression, runtime).unwrap_or(0)).unwrap_or(0)
            }
        }
        .min(all);
        let limit = match &self.limit {
            Some(expression) => number(expression, runtime).map(|n| usize::try_from(n).unwrap_or(0)),
            None => None,
        };
        let count = limit.unwrap_or(usize::MAX).min(all - offset);
        runtime.registers().get_mut::<Ends>().0.insert(self.name.clone(), offset + count);
        for at in 0..count {
            spend(runtime, 1)?;
            let index = offset + if self.reversed { count - 1 - at } else { at };
            if !rounds.with(index, |item| round(item, at, count))? {
                break;
            }
        }
        Ok(count)
    }
}

fn elements(value: &dyn ValueView) -> Vec<ValueCow<'_>> {
    if let Some(array) = value.as_array() {
        array.values().map(ValueCow::Borrowed).collect()
    } else if let Some(object) = value.as_object() {
        object
            .iter()
            .map(|(key, value)| {
                ValueCow::Owned(Value::Array(vec![Value::scalar(key.into_owned()), value.to_value()]))
            })
            .collect()
    } else if value.is_scalar() && !value.to_kstr().is_empty() && value.type_name() == "string" {
        vec![ValueCow::Borrowed(value)]
    } else {
        Vec::new()
    }
}

/// What a template can ask about the round.
#[derive(Debug, Clone, ValueView, ObjectView)]
struct Position<'p> {
    length: i64,
    index0: i64,
    index: i64,
    rindex0: i64,
    rindex: i64,
    first: bool,
    last: bool,
    parentloop: Option<&'p dyn ValueView>,
}

impl<'p> Position<'p> {
    fn new(at: usize, count: usize, parentloop: Option<&'p dyn ValueView>) -> Self {
        let left = count - at - 1;
        Self {
            length: whole(count),
            index0: whole(at),
            index: whole(at + 1),
            rindex0: whole(left),
            rindex: whole(left + 1),
            first: at == 0,
            last: left == 0,
            parentloop,
        }
    }
}

/// What a template can ask about the cell.
#[expect(clippy::struct_excessive_bools, reason = "these are the names that templates know")]
#[derive(Debug, Clone, ValueView, ObjectView)]
struct Cell {
    length: i64,
    index0: i64,
    index: i64,
    rindex0: i64,
    rindex: i64,
    first: bool,
    last: bool,
    row: i64,
    col0: i64,
    col: i64,
    col_first: bool,
    col_last: bool,
}

impl Cell {
    fn new(at: usize, count: usize, columns: usize) -> Self {
        let (left, column) = (count - at - 1, at % columns);
        Self {
            length: whole(count),
            index0: whole(at),
            index: whole(at + 1),
            rindex0: whole(left),
            rindex: whole(left + 1),
            first: at == 0,
            last: left == 0,
            row: whole(at / columns + 1),
            col0: whole(column),
            col: whole(column + 1),
            col_first: column == 0,
            col_last: column + 1 == columns || left == 0,
        }
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[derive(Debug)]
struct For {
    header: Header,
    body: Template,
    otherwise: Option<Template>,
}

impl Renderable for For {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let parent = runtime.try_get(&[Scalar::new("forloop")]).map(ValueCow::into_owned);
        let count = self.header.each(runtime, |item, at, count| {
            let position = Position::new(at, count, parent.as_ref().map(Value::as_view));
            let scope = Round::new(runtime, (&self.header.item, item), ("forloop", &position));
            self.body.render_to(writer, &scope)?;
            let interrupt = runtime.registers().get_mut::<InterruptRegister>().reset();
            Ok(!matches!(interrupt, Some(Interrupt::Break)))
        })?;
        match &self.otherwise {
            Some(otherwise) if count == 0 => otherwise.render_to(writer, runtime),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
struct TableRow {
    header: Header,
    body: Template,
}

impl Renderable for TableRow {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let columns = match &self.header.columns {
            Some(expression) => number(expression, runtime).and_then(|n| usize::try_from(n).ok()),
            None => None,
        };
        let failed = || Error::with_msg("the mail would be too large");
        self.header.each(runtime, |item, at, count| {
            let columns = columns.filter(|n| *n > 0).unwrap_or(count);
            let cell = Cell::new(at, count, columns);
            if cell.col_first {
                write!(writer, "<tr class=\"row{}\">", cell.row).map_err(|_| failed())?;
            }
            write!(writer, "<td class=\"col{}\">", cell.col).map_err(|_| failed())?;
            let scope = Round::new(runtime, (&self.header.item, item), ("tablerowloop", &cell));
            self.body.render_to(writer, &scope)?;
            let end: &[u8] = if cell.col_last { b"</td></tr>" } else { b"</td>" };
            writer.write_all(end).map_err(|_| failed())?;
            let interrupt = runtime.registers().get_mut::<InterruptRegister>().reset();
            Ok(!matches!(interrupt, Some(Interrupt::Break)))
        })?;
        Ok(())
    }
}
