//! Takes the compiled HTML of a mail apart, so that it can stand within a page.

use crate::markup::{Markup, Scanner, Tag};
use application::ports::PageContent;

/// Elements that have no place on a page, with their contents.
const UNWANTED: [&str; 3] = ["script", "noscript", "iframe"];

/// The style sheets of a document and what stands in its body, without comments and scripts. Style
/// sheets that load others are left out.
pub fn parts(html: &str) -> PageContent {
    let mut content = PageContent::default();
    let mut scanner = Scanner::new(html);
    // where the part of the body begins that is not copied yet
    let mut from = None;
    while let Some(markup) = scanner.next() {
        let (start, end) = match &markup {
            Markup::Other { start, end } => (*start, *end),
            Markup::Tag(tag) => (tag.start, tag.end),
        };
        let skipped = match markup {
            Markup::Tag(tag) if tag.name.eq_ignore_ascii_case("body") => {
                copy(&mut content.html, html, from, start);
                from = (!tag.closing).then_some(end);
                continue;
            }
            Markup::Tag(tag) if !tag.closing && tag.name.eq_ignore_ascii_case("style") => {
                let (inner, end) = element(html, &tag);
                if !inner.contains("@import") {
                    content.styles.push_str(inner);
                    content.styles.push('\n');
                }
                Some(end)
            }
            Markup::Tag(tag) if !tag.closing && UNWANTED.iter().any(|n| tag.name.eq_ignore_ascii_case(n)) => {
                Some(element(html, &tag).1)
            }
            Markup::Other { .. } => Some(end),
            Markup::Tag(_) => None,
        };
        if let Some(end) = skipped {
            copy(&mut content.html, html, from, start);
            from = from.map(|_| end);
            scanner.jump(end);
        }
    }
    copy(&mut content.html, html, from, html.len());
    content.html = content.html.trim().to_owned();
    content
}

fn copy(out: &mut String, html: &str, from: Option<usize>, to: usize) {
    if let Some(from) = from.filter(|from| *from < to) {
        out.push_str(&html[from..to]);
    }
}

/// The content of an element that holds no element, and the position after it.
fn element<'a>(html: &'a str, tag: &Tag<'_>) -> (&'a str, usize) {
    if tag.empty {
        return ("", tag.end);
    }
    let rest = &html[tag.end..];
    let close = format!("</{}", tag.name.to_ascii_lowercase());
    let Some(at) = rest.to_ascii_lowercase().find(&close) else { return (rest, html.len()) };
    let end = rest[at..].find('>').map_or(html.len(), |after| tag.end + at + after + 1);
    (&rest[..at], end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_and_body_are_told_apart() {
        let html = "<!doctype html><html><head><title>T</title><style type=\"text/css\">p > b{color:red}</style>\
            <!--[if mso]><style>x</style><![endif]--></head><body class=\"b\"><p>a</p></body></html>";
        let content = parts(html);
        assert_eq!(content.styles, "p > b{color:red}\n");
        assert_eq!(content.html, "<p>a</p>");
    }

    #[test]
    fn comments_go_and_what_stands_between_them_stays() {
        let html = "<body><!--[if mso]><table><![endif]--><!--[if !mso]><!--><b>x</b><!--<![endif]--></body>";
        assert_eq!(parts(html).html, "<b>x</b>");
    }

    #[test]
    fn scripts_and_foreign_styles_are_left_out() {
        let html = "<head><style>@import url(https://fonts.example/a);</style></head>\
            <body>a<SCRIPT>if (1 < 2) { alert('</p>') }</script >b<iframe src=\"x\"></iframe>c</body>";
        let content = parts(html);
        assert_eq!((content.styles.as_str(), content.html.as_str()), ("", "abc"));
    }

    #[test]
    fn an_element_that_is_never_closed_ends_with_the_document() {
        assert_eq!(parts("<body>a<script>b").html, "a");
        assert_eq!(parts("no body").html, "");
    }
}
