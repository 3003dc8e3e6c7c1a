//! Pieces of SQL that several stores need, and what one statement may carry.

use crate::session::{Fields as _, Session};
use application::ports::StoreError;
use sea_orm::{
    DbBackend, QueryResult,
    sea_query::{
        Alias, BinOper, Condition, Expr, ExprTrait as _, Func, IntoColumnRef, LikeExpr, Query,
        SelectStatement, Value,
    },
};
use std::cmp;

/// Column of [`count`].
const COUNT: &str = "count";

/// Before a character of a pattern that means itself. Not a backslash, which the engines quote in
/// different ways.
const ESCAPE: char = '!';

/// How many rows one statement writes: beyond 500 nothing is gained, and SQLite takes no more than
/// 32,766 values.
pub(super) fn rows_per_statement(columns: usize) -> usize {
    (32_000 / columns).clamp(1, 500)
}

/// A text that stands in the statement itself, so that an index of a part of the table is found.
pub(super) fn constant(text: &'static str) -> Expr {
    Expr::Constant(text.into())
}

/// A text column to be compared in rows that another condition finds. As an expression it has no
/// index that could be taken for the better way in, such as all recipients of a broadcast.
pub(super) fn checked(column: impl IntoColumnRef) -> Expr {
    Expr::col(column).binary(BinOper::Custom("||"), constant(""))
}

/// The texts as a query of one column. They travel as one value, however many they are.
pub(super) fn given<'a>(backend: DbBackend, texts: impl IntoIterator<Item = &'a str>) -> SelectStatement {
    let texts: serde_json::Value = texts.into_iter().collect();
    let elements = match backend {
        DbBackend::Postgres => "jsonb_array_elements_text",
        _ => "json_each",
    };
    let elements = Func::cust(Alias::new(elements)).arg(Expr::val(texts));
    Query::select().column("value").from_function(elements, "given").take()
}

/// That a text column holds a part, without regard to case. Neither engine folds other letters than
/// those of ASCII here, so the part is also looked for in lower and in upper case: missed is only a
/// text that mixes both cases of other letters in another way than the part does.
pub(super) fn holds(backend: DbBackend, column: &'static str, part: &str) -> Condition {
    if part.contains('\0') {
        return Condition::all().add(Expr::cust("1 = 0"));
    }
    let mut spellings = vec![part.to_owned()];
    if !part.is_ascii() {
        spellings.extend([part.to_lowercase(), part.to_uppercase()]);
        spellings.dedup();
    }
    spellings.into_iter().fold(Condition::any(), |any, spelling| {
        let pattern = format!("%{}%", escaped(&spelling));
        any.add(match backend {
            DbBackend::Postgres => {
                Expr::cust_with_exprs("$1 ILIKE $2 ESCAPE '!'", [Expr::col(column), Expr::val(pattern)])
            }
            _ => Expr::col(column).like(LikeExpr::new(pattern).escape(ESCAPE)),
        })
    })
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | ESCAPE) {
            escaped.push(ESCAPE);
        }
        escaped.push(c);
    }
    escaped
}

/// A number of rows as the engines take it.
pub(super) fn rows(number: u64) -> u64 {
    cmp::min(number, i64::MAX.unsigned_abs())
}

/// One row more than a page, to see whether another follows.
pub(super) fn page_and_one(size: usize) -> u64 {
    rows((size as u64).saturating_add(1))
}

/// Counts rows. Select it as the only column, or beside those of a `GROUP BY`.
pub(super) fn count_of_rows(query: &mut SelectStatement) -> &mut SelectStatement {
    query.expr_as(Expr::cust("COUNT(*)"), COUNT)
}

/// The number selected by [`count_of_rows`].
pub(super) fn count(row: &QueryResult) -> Result<u64, StoreError> {
    row.field::<i64>(COUNT).map(i64::unsigned_abs)
}

/// Reads a query's only row and number.
pub(super) async fn counted(session: &mut Session, query: &SelectStatement) -> Result<u64, StoreError> {
    session.one(query).await?.map_or(Ok(0), |row| count(&row))
}

/// Turns every row into what it stands for.
pub(super) fn read_all<T>(
    rows: &[QueryResult],
    read: impl Fn(&QueryResult) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(read).collect()
}

/// A text value, or the null of its type.
pub(super) fn text_or_null(text: Option<&str>) -> Value {
    Value::from(text.map(str::to_owned))
}
