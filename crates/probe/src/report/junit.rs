//! The report for build servers: JUnit XML in the form that Jenkins reads.
//!
//! A template and not a crate: the form is twenty lines, and the crates that write it bring a clock and an XML parser.

use minijinja::{AutoEscape, Environment, context};

use super::Report;

const TEMPLATE: &str = include_str!("junit.xml");

#[expect(
    clippy::expect_used,
    reason = "the template is part of the program, and a test renders all of it"
)]
pub(super) fn write(report: &Report) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    let template = environment.template_from_named_str("junit.xml", TEMPLATE);
    let rendered = template.and_then(|template| template.render(context! { report }));
    rendered.expect("the template renders")
}
