//! What authors may write and what the world may put into it.

use super::*;
use serde_json::{Value, json};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn try_render(source: &str, data: &Value, mode: Mode) -> Result<String, LiquidError> {
    Ok(Template::parse(source, mode)?.render(data, now())?.text)
}

fn html(source: &str, data: &Value) -> String {
    try_render(source, data, Mode::Html).unwrap_or_else(|e| panic!("{source}: {e}"))
}

fn text(source: &str, data: &Value) -> String {
    try_render(source, data, Mode::Text).unwrap_or_else(|e| panic!("{source}: {e}"))
}

fn table(cases: &[(&str, &str)], data: &Value) {
    for (source, wanted) in cases {
        assert_eq!(text(source, data), *wanted, "{source}");
    }
}

#[test]
fn what_is_missing_is_nil_at_every_depth() {
    let data = json!({"a": {"b": null, "s": "x", "list": [{"x": 1}]}});
    table(
        &[
            ("[{{ missing }}]", "[]"),
            ("[{{ a.missing.deeper.still }}]", "[]"),
            ("[{{ a.b.c }}]", "[]"),
            ("[{{ a.s.c.d }}]", "[]"),
            ("[{{ a.list[7].x }}]", "[]"),
            ("{% if a[missing] %}y{% else %}n{% endif %}", "n"),
            ("{{ 'x' | append: a[missing] }}", "x"),
            ("{{ missing | default: 'd' }}", "d"),
            ("{{ a.missing.x | default: 'd' | upcase }}", "D"),
            ("{{ 'x' | append: missing }}", "x"),
            ("{% if missing == nil %}y{% endif %}", "y"),
            ("{% if a.b.c == blank %}y{% endif %}", "y"),
            ("{% if missing > 3 %}y{% else %}n{% endif %}", "n"),
            ("{% if 3 < missing.x %}y{% else %}n{% endif %}", "n"),
            ("{% if missing contains 'x' %}y{% else %}n{% endif %}", "n"),
            ("{% unless a.missing %}y{% endunless %}", "y"),
            ("{% for i in missing.list %}x{% else %}none{% endfor %}", "none"),
            ("{% for i in a.list %}{{ i.x }}{{ i.missing.y }}{% endfor %}", "1"),
            ("{% assign v = a %}[{{ v.missing.deeper }}]", "[]"),
            ("{% case missing %}{% when 1 %}1{% else %}e{% endcase %}", "e"),
            ("{{ missing | plus: 1 }}", "1"),
            ("[{{ missing | join: ',' }}]", "[]"),
            ("{{ missing | size }}", "0"),
            ("[{{ missing | sort | first }}]", "[]"),
            ("[{{ missing | date: '%Y' }}]", "[]"),
        ],
        &data,
    );
}

#[test]
fn dates_come_in_many_forms() {
    for (input, wanted) in [
        (json!("2026-03-04T05:06:07Z"), "2026-03-04 05:06"),
        (json!("2026-03-04T05:06:07.123456+02:00"), "2026-03-04 05:06"),
        (json!("2026-03-04"), "2026-03-04 00:00"),
        (json!("2026-03-04 05:06:07"), "2026-03-04 05:06"),
        (json!("2026-03-04 05:06:07 +0200"), "2026-03-04 05:06"),
        (json!("2026-03-04 05:06:07 UTC"), "2026-03-04 05:06"),
        (json!("Wed, 04 Mar 2026 05:06:07 GMT"), "2026-03-04 05:06"),
        (json!("March 4, 2026"), "2026-03-04 00:00"),
        (json!(1_700_000_000), "2023-11-14 22:13"),
        (json!(1_700_000_000_000_i64), "2023-11-14 22:13"),
        (json!("1700000000"), "2023-11-14 22:13"),
        (json!("now"), "2023-11-14 22:13"),
        (json!("sometime"), "sometime"),
    ] {
        assert_eq!(text("{{ d | date: '%Y-%m-%d %H:%M' }}", &json!({"d": input})), wanted, "{input}");
    }
    assert_eq!(text("{{ d | date: '%B %-d, %Y' }}", &json!({"d": "2026-03-04"})), "March 4, 2026");
    assert!(try_render("{{ 'now' | date: '%Q!' }}", &json!({}), Mode::Text).is_err());
}

#[test]
fn filters_do_as_in_shopify() {
    let data = json!({
        "list": [3, 1, 2], "words": ["b", "A", "c"], "t": true, "f": false,
        "items": [{"n": "a", "p": 2, "ok": true}, {"n": "b", "p": 1}, {"n": "c", "p": 2, "ok": false}],
        "o": {"k": [1, "x", null]}
    });
    table(
        &[
            ("{{ list | sort | join: ',' }}", "1,2,3"),
            ("{{ words | sort_natural | join }}", "A b c"),
            ("{{ items | sort: 'p' | map: 'n' | join: '' }}", "bac"),
            ("{{ items | where: 'p', 2 | map: 'n' | join: '' }}", "ac"),
            ("{{ items | where: 'ok' | map: 'n' | join: '' }}", "a"),
            ("{{ items | reject: 'p', 2 | map: 'n' | join: '' }}", "b"),
            ("{% assign i = items | find: 'n', 'b' %}{{ i.p }}", "1"),
            ("{{ items | find_index: 'n', 'c' }}", "2"),
            ("{{ items | has: 'n', 'z' }}", "false"),
            ("{{ items | sum: 'p' }}", "5"),
            ("{{ list | sum }}", "6"),
            ("{{ list | concat: words | size }}", "6"),
            ("{{ list | reverse | first }}", "2"),
            ("{{ 'a,b,a' | split: ',' | uniq | join: '' }}", "ab"),
            ("{{ o | json }}", "{\"k\":[1,\"x\",null]}"),
            ("{{ 'Ünïcode Straße & more!' | handleize }}", "ünïcode-straße-more"),
            ("{{ 'aXbXc' | remove_last: 'X' }}", "aXbc"),
            ("{{ 'aXbXc' | replace_last: 'X', '-' }}", "aXb-c"),
            ("{{ 'aXbXc' | replace_first: 'X', '-' }}", "a-bXc"),
            ("{{ 'a b' | url_encode }}", "a+b"),
            ("{{ 'a+b%C3%A9' | url_decode }}", "a bé"),
            ("{{ 'hi?>' | base64_encode }}", "aGk/Pg=="),
            ("{{ 'aGk/Pg==' | base64_decode }}", "hi?>"),
            ("{{ 'hi?>' | base64_url_safe_encode }}", "aGk_Pg=="),
            ("{{ 'aGk_Pg==' | base64_url_safe_decode }}", "hi?>"),
            ("{{ f | default: 'd' }}", "d"),
            ("{{ f | default: 'd', allow_false: true }}", "false"),
            ("{{ '' | default: 'd' }}", "d"),
            ("{{ 0 | default: 'd' }}", "0"),
            ("{{ 4 | at_least: 5 }}{{ 4 | at_most: 3 }}", "53"),
            ("{{ 7 | divided_by: 2 }} {{ 7.0 | divided_by: 2 }}", "3 3.5"),
            ("{{ -7 | divided_by: 2 }} {{ -7 | modulo: 2 }}", "-4 1"),
            ("{{ '2' | plus: '2.5' }}", "4.5"),
            ("{{ 4.5 | round }} {{ 4.126 | round: 2 }}", "5 4.13"),
            ("{{ 'abcdefgh' | truncate: 6 }}", "abc..."),
            ("{{ 'a b c d' | truncatewords: 2, '!' }}", "a b!"),
            ("{{ 'abc' | slice: 1 }}{{ 'abc' | slice: -2, 2 }}", "bbc"),
            ("{{ '<p>a <b>b</b></p><style>x</style>' | strip_html }}", "a b"),
            ("{{ 'hELLO wORLD' | capitalize }}", "Hello world"),
            ("{{ 'é' | size }}", "1"),
            ("{{ 5 | no_such_filter: 1, 'a|b' | plus: 1 }}", "6"),
            ("{% assign x = 'a' | nonsense | upcase %}{{ x }}", "A"),
        ],
        &data,
    );
}

#[test]
fn tags_do_as_in_shopify() {
    let data = json!({"n": 5, "list": ["a", "b", "c"], "o": {"x": 1}});
    table(
        &[
            ("{% for i in list reversed %}{{ forloop.index }}{{ i }}{% endfor %}", "1c2b3a"),
            (
                "{% for i in list limit: 2 %}{{ i }}{% endfor %}|{% for i in list offset: continue %}{{ i }}{% endfor %}",
                "ab|c",
            ),
            (
                "{% for i in (1..n) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
                "13",
            ),
            ("{% for p in o %}{{ p[0] }}={{ p[1] }}{% endfor %}", "x=1"),
            (
                "{% for i in list %}{% for j in (1..2) %}{{ forloop.parentloop.index }}{{ forloop.last }} {% endfor %}{% endfor %}",
                "1false 1true 2false 2true 3false 3true ",
            ),
            (
                "{% tablerow i in list cols: 2 %}{{ i }}{% endtablerow %}",
                "<tr class=\"row1\"><td class=\"col1\">a</td><td class=\"col2\">b</td></tr><tr class=\"row2\"><td class=\"col1\">c</td></tr>",
            ),
            ("{% if n == 1 %}1{% elsif n == 5 %}5{% else %}e{% endif %}", "5"),
            ("{% if true or false and false %}y{% endif %}", "y"),
            ("{% if false and false or true %}y{% else %}n{% endif %}", "n"),
            ("{% if n >= 5 and list contains 'b' %}y{% endif %}", "y"),
            ("{% case n %}{% when 1, 5 %}hit{% endcase %}", "hit"),
            ("{% capture c %}a{{ n }}{% endcapture %}{{ c }}{{ c }}", "a5a5"),
            ("{% cycle 'a', 'b' %}{% cycle 'a', 'b' %}{% cycle 'a', 'b' %}", "aba"),
            ("{% increment k %}{% increment k %}{% decrement m %}", "01-1"),
            ("{% comment %}{{ x y }}{% if %}{% endcomment %}y", "y"),
            ("a{%- # note -%} b", "ab"),
            ("{% echo n | plus: 1 %}", "6"),
            ("{% liquid\n assign q = n | plus: 2\n if q > 6\n echo q\n endif %}", "7"),
            ("{% doc %}{{ x }}{% enddoc %}z", "z"),
            ("{% raw %}{{ n }}{% if %}<b>{% endraw %}", "{{ n }}{% if %}<b>"),
            ("a {%- raw -%} b {%- endraw -%} c", "abc"),
            ("{{ }}", ""),
            ("a {{- n -}} b", "a5b"),
            ("{%\tif n\t%}y{% endif %}", "y"),
            ("{%if&nbsp;x%}{%endif%}", ""),
            ("{{\u{a0}n\u{200b}\u{feff}}}", "5"),
            ("{{ list.size }}{{ list.first }}{{ list[-1] }}", "3ac"),
            ("{ {n} } %} }}", "{ {n} } %} }}"),
        ],
        &data,
    );
}

#[test]
fn numbers_are_written_without_needless_fractions() {
    let data = json!({"a": 42.0, "b": 1.5, "c": 7, "d": true, "e": [1, 2.0, "x"]});
    assert_eq!(text("{{ a }} {{ b }} {{ c }} {{ d }} {{ e }}", &data), "42 1.5 7 true 12x");
}

#[test]
fn values_are_escaped_in_html_once() {
    let data = json!({"v": "<b>\"Tom\" & 'Jerry'</b>", "lines": "a\n<b>"});
    let escaped = "&lt;b&gt;&quot;Tom&quot; &amp; &#39;Jerry&#39;&lt;/b&gt;";
    for (source, wanted) in [
        ("{{ v }}", escaped),
        ("{{ v | escape }}", escaped),
        ("{{ v | h }}", escaped),
        ("{{ v | raw }}", "<b>\"Tom\" & 'Jerry'</b>"),
        ("{{ v | raw | append: '' }}", escaped),
        (
            "{{ v | append: '<' | upcase | downcase }}",
            "&lt;b&gt;&quot;tom&quot; &amp; &#39;jerry&#39;&lt;/b&gt;&lt;",
        ),
        ("{% echo v %}", escaped),
        ("{% liquid echo v %}", escaped),
        (
            "{% capture c %}<i>{{ v }}</i>{% endcapture %}{{ c }}",
            "<i>&lt;b&gt;&quot;Tom&quot; &amp; &#39;Jerry&#39;&lt;/b&gt;</i>",
        ),
        ("{{ lines | newline_to_br }}", "a<br />\n&lt;b&gt;"),
        ("{{ lines | escape | newline_to_br }}", "a<br />\n&lt;b&gt;"),
        ("{{ '<' | as_markup }}", "&lt;"),
        ("{{ &quot;x&quot; | append: &#39;y&#39; }}", "xy"),
        ("{% if 1 &lt; 2 &amp;&nbsp;%}{% endif %}", ""),
    ] {
        match try_render(source, &data, Mode::Html) {
            Ok(found) => assert_eq!(found, wanted, "{source}"),
            Err(_) => assert!(source.contains("&amp;&nbsp;"), "{source}"),
        }
    }
    assert_eq!(text("{{ v }}", &data), "<b>\"Tom\" & 'Jerry'</b>");
    assert_eq!(text("{{ v | raw }}", &data), "\"Tom\" & 'Jerry'");
}

#[test]
fn entities_are_read_in_tags_of_html_only() {
    assert_eq!(html("{% if 1 &lt; 2 %}y{% endif %}", &json!({})), "y");
    assert_eq!(html("{{ a | default: &quot;d&quot; }}", &json!({})), "d");
}

#[test]
fn data_is_never_read_as_liquid() {
    let data = json!({"name": "{{ secret }}{% for i in (1..9) %}x{% endfor %}", "secret": "s"});
    assert_eq!(html("{{ name | raw }}", &data), "{{ secret }}{% for i in (1..9) %}x{% endfor %}");
    assert_eq!(text("{% assign n = name %}{{ n }}", &data), data["name"].as_str().unwrap());
    assert_eq!(
        text("{% capture n %}{{ name }}{% endcapture %}{{ n }}", &data),
        data["name"].as_str().unwrap()
    );
}

#[test]
fn faults_are_named_with_their_line() {
    for (source, line, part) in [
        ("a\n{% if x %}\nb", 2, "never closed"),
        ("a\nb\n{% endif %}", 3, "closes nothing"),
        ("\n{{ a", 2, "never closed"),
        ("{% if a %}{% endfor %}{% endif %}", 1, "closes nothing"),
        ("x\n{% frobnicate %}", 2, "not a known tag"),
        ("x\n\n{{ a b c }}", 3, "cannot be read"),
        ("x\n{% if a ==  %}{% endif %}", 2, "cannot be read"),
        ("\n{% for x on y %}{% endfor %}", 2, "cannot be read"),
        ("{% else %}", 1, "outside"),
        ("{% include 'x' %}", 1, "not available"),
        ("{% render 'x' %}", 1, "not available"),
        ("{{ | upcase }}", 1, "missing"),
    ] {
        let error = Template::parse(source, Mode::Html).expect_err(source);
        assert!(error.message.contains(part), "{source}: {error}");
        assert_eq!(error.line, line, "{source}: {error}");
    }
}

#[test]
fn work_is_bounded() {
    let grow = |op: &str| {
        let mut source = "{% assign s = 'xxxxxxxxxxxxxxxx' %}".to_owned();
        for _ in 0..26 {
            source.push_str(op);
        }
        source
    };
    let sources = [
        "{% for i in (1..100000000) %}{% endfor %}".to_owned(),
        "{% for i in (-9223372036854775808..9223372036854775807) %}{% endfor %}".to_owned(),
        "{% tablerow i in (1..100000000) %}{% endtablerow %}".to_owned(),
        "{% for i in (1..2000) %}{% for j in (1..2000) %}{% endfor %}{% endfor %}".to_owned(),
        "{% for i in (1..200000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}".to_owned(),
        grow("{% assign s = s | append: s %}"),
        grow("{% assign s = s | prepend: s %}"),
        grow("{% assign s = s | replace: 'x', s %}"),
        grow("{% assign s = s | split: '' | join: s %}"),
        grow("{% capture s %}{{ s }}{{ s }}{% endcapture %}"),
        format!("{{% assign l = 'a,b,c' | split: ',' %}}{}", grow("{% assign l = l | concat: l %}")),
        format!(
            "{}{}",
            &grow("{% assign s = s | append: s %}")[..35 + 15 * 30],
            "{% for i in (1..1000) %}{% assign k = s | append: i %}{% capture z %}{{ k }}{% endcapture %}{% endfor %}"
        ),
    ];
    for source in &sources {
        let start = std::time::Instant::now();
        let result = try_render(source, &json!({}), Mode::Text);
        assert!(result.is_err(), "{}", &source[..60.min(source.len())]);
        assert!(start.elapsed().as_secs() < 8, "{}", &source[..60.min(source.len())]);
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = "{% if a %}".repeat(5000) + &"{% endif %}".repeat(5000);
    assert!(Template::parse(&deep, Mode::Html).is_err());
    let deep = "{% if a %}".repeat(90) + "x" + &"{% endif %}".repeat(90);
    assert_eq!(html(&deep, &json!({"a": 1})), "x");
    let chain = format!("{{% if a %}}{}{{% endif %}}", "{% elsif b %}".repeat(5000));
    assert_eq!(html(&chain, &json!({})), "");
    let brackets = format!("{{{{ {}a{} }}}}", "a[".repeat(5000), "]".repeat(5000));
    assert!(Template::parse(&brackets, Mode::Html).is_err());
    let raw = format!("{{% raw %}}{{{{ {}a{} }}}}{{% endraw %}}", "a[".repeat(20_000), "]".repeat(20_000));
    assert!(html(&raw, &json!({})).contains("a[a["));
    let large = "{{ a }}".repeat(20_000);
    assert!(Template::parse_given(&large, Mode::Html).is_err());
}

#[test]
fn division_by_zero_is_an_error_without_values() {
    let error =
        try_render("{{ secret | divided_by: 0 }}", &json!({"secret": 12345}), Mode::Text).unwrap_err();
    assert_eq!(error.message, "a number is divided by 0");
}

proptest::proptest! {
    #[test]
    fn any_source_is_parsed_or_refused(source in "(\\{\\{|\\}\\}|\\{%|%\\}|if|endif|for i in|endfor|x|\\||'|\"|[(\\[.,: -]|é|&nbsp;|raw|endraw|<a href=\")*") {
        for mode in [Mode::Html, Mode::Text, Mode::TextOfHtml] {
            if let Ok(template) = Template::parse(&source, mode) {
                let _ = template.render(&json!({"x": "<é>"}), now());
            }
        }
    }
}
