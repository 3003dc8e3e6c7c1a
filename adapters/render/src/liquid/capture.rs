//! `capture`, bounded, and the block that collects the URLs of links.

use super::runtime::{Captured, FoundLinks, MAX_VALUE, Sink, spend};
use crate::links;
use liquid_core::{
    BlockReflection, Error, Language, ParseBlock, Renderable, Result, Runtime, TagBlock, TagTokenIter,
    Template, Value,
};
use std::io::Write;

/// A block whose output goes elsewhere.
#[derive(Debug, Clone, Copy)]
pub enum Aside {
    /// Into a variable.
    Capture,
    /// Into the list of links, with a mark left in its place.
    Link,
}

impl BlockReflection for Aside {
    fn start_tag(&self) -> &str {
        match self {
            Self::Capture => "capture",
            Self::Link => links::BLOCK,
        }
    }

    fn end_tag(&self) -> &str {
        match self {
            Self::Capture => "endcapture",
            Self::Link => links::END_BLOCK,
        }
    }

    fn description(&self) -> &'static str {
        ""
    }
}

impl ParseBlock for Aside {
    fn parse(
        &self,
        mut arguments: TagTokenIter<'_>,
        mut tokens: TagBlock<'_, '_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let name = match self {
            Self::Capture => {
                let name = arguments.expect_next("the name of the variable is missing")?;
                let quoted = name.as_str().trim().trim_matches(['"', '\'']).to_owned();
                Some(quoted)
            }
            Self::Link => None,
        };
        let body = Template::new(tokens.parse_all(options)?);
        tokens.assert_empty();
        Ok(Box::new(Collected { name, body }))
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

#[derive(Debug)]
struct Collected {
    name: Option<String>,
    body: Template,
}

impl Renderable for Collected {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        spend(runtime, 1)?;
        let mut sink = Sink::new(128, MAX_VALUE);
        self.body.render_to(&mut sink, runtime)?;
        let made = sink.into_text();
        let Some(name) = &self.name else {
            let mark = links::found_mark(made, &mut runtime.registers().get_mut::<FoundLinks>().0);
            return writer
                .write_all(mark.as_bytes())
                .map_err(|_| Error::with_msg("the mail would be too large"));
        };
        runtime.registers().get_mut::<Captured>().0.insert(made.clone());
        runtime.set_global(name.clone().into(), Value::scalar(made));
        Ok(())
    }
}
