//! `mj-html-attributes`: adds attributes to elements of the finished HTML, found by CSS selectors.

use crate::markup::{self, Markup, Scanner};
use lol_html::{HandlerResult, RewriteStrSettings, Selector, element, html_content::Element, rewrite_str};

/// Attributes with the selectors of their elements.
#[derive(Debug, Default)]
pub struct HtmlAttributes(Vec<(String, String, String)>);

impl HtmlAttributes {
    /// Reads the content of the component.
    ///
    /// # Errors
    /// What is wrong and where in the content.
    pub fn read(&mut self, content: &str) -> Result<(), (usize, String)> {
        let mut path = String::new();
        for found in Scanner::new(content) {
            let Markup::Tag(tag) = found else { continue };
            let attribute = |name| {
                let attributes = markup::attributes(content, &tag);
                attributes.iter().find(|a| a.name == name).map(|a| markup::unescape(a.value).into_owned())
            };
            match tag.name {
                _ if tag.closing => {}
                "mj-selector" => {
                    path = attribute("path").unwrap_or_default();
                    if path.parse::<Selector>().is_err() {
                        return Err((tag.start, format!("`{path}` is no selector that can be used")));
                    }
                }
                "mj-html-attribute" => {
                    let name = attribute("name").unwrap_or_default();
                    let value = content[tag.end..].split('<').next().unwrap_or_default();
                    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':');
                    if path.is_empty() || name.is_empty() || !name.chars().all(plain) {
                        return Err((
                            tag.start,
                            "a selector and the name of an attribute are needed".to_owned(),
                        ));
                    }
                    let value = markup::unescape(value).trim().to_owned();
                    self.0.push((path.clone(), name, value));
                }
                other => return Err((tag.start, format!("<{other}> is not allowed here"))),
            }
        }
        Ok(())
    }

    /// Adds the attributes to HTML.
    ///
    /// # Errors
    /// When the HTML cannot be rewritten.
    pub fn apply(&self, html: String) -> Result<String, String> {
        if self.0.is_empty() {
            return Ok(html);
        }
        let settings = self.0.iter().fold(RewriteStrSettings::new(), |settings, (path, name, value)| {
            settings.append_element_content_handler(element!(
                path,
                |element: &mut Element<'_, '_>| -> HandlerResult {
                    element.set_attribute(name, value)?;
                    Ok(())
                }
            ))
        });
        rewrite_str(&html, settings).map_err(|_| "the attributes cannot be added to the HTML".to_owned())
    }
}
