//! Reading JSON bodies, with every wrong field reported at once.

mod explain;
mod values;

pub use values::{Created, Moment, Text};

use crate::problem::Problem;
use domain::validation::{Check, Invalid};
use poem::{Request, RequestBody, Result, http::StatusCode};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    error::ContentTypeError,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaRequest, Registry},
    types::ParseFromJSON,
};
use serde_json::{Map, Value};

/// The JSON body of a request. Unknown members are ignored; a body of the wrong shape is answered
/// with each wrong field and what to do about it.
pub struct Body<T>(pub T);

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = MetaMediaType { content_type: Json::<T>::CONTENT_TYPE, schema: T::schema_ref() };
        Some(MetaRequest { description: None, content: vec![content], required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let content_type = request.content_type().unwrap_or_default();
        if !Json::<T>::check_content_type(content_type) {
            return Err(ContentTypeError::NotSupported { content_type: content_type.to_owned() }.into());
        }
        let bytes = body.take()?.into_vec().await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// Reads a body as [`Body`] does.
///
/// # Errors
/// When it is no JSON, or not of this shape.
pub(crate) fn parse<T: ParseFromJSON>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let detail = "a body is required; send a JSON object";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "body-missing", detail));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let detail = if error.to_string().starts_with("recursion limit") {
            "the body is nested too deeply".to_owned()
        } else {
            format!("the body is not JSON: look at line {} column {}", error.line(), error.column())
        };
        Problem::new(StatusCode::BAD_REQUEST, "body-malformed", detail)
    })?;
    if let Some(pointer) = nul(&value) {
        let rule = "must not contain NUL characters, which cannot be stored";
        return Err(Invalid::one(pointer, rule).into());
    }
    // The schema is walked only for a body that is refused.
    match T::parse_from_json(Some(value.clone())) {
        Ok(body) => Ok(body),
        Err(_) => Err(explain::problems::<T>(&value).into()),
    }
}

/// Where the first text or name with a NUL character stands.
fn nul(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(n, item)| Some(format!("/{n}{}", nul(item)?)))
        }
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if name.contains('\0') { Some(String::new()) } else { Some(format!("/{name}{}", nul(member)?)) }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Ends the conversion of a body: the value made of its fields, or every problem found.
///
/// # Errors
/// The problems, when there are any.
pub(crate) fn complete<T>(check: Check, made: Option<T>) -> Result<T, Invalid> {
    check.finish()?;
    made.ok_or_else(|| Invalid::one("", "is incomplete"))
}

/// An optional text; an empty one is none.
pub(crate) fn text_of(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0).filter(|text| !text.trim().is_empty())
}

/// An optional JSON object; null is none.
pub(crate) fn object(check: &mut Check, pointer: &str, value: Option<Value>) -> Option<Map<String, Value>> {
    match value {
        Some(Value::Object(object)) => Some(object),
        None | Some(Value::Null) => None,
        Some(_) => {
            check.problem(pointer, "must be an object");
            None
        }
    }
}
