//! What must not compile: each file in `must_not_compile/` is one way to get around the door, and the compiler refuses it.
//! `TRYBUILD=overwrite` writes the expected messages anew after a change of the compiler.

#[test]
fn there_is_no_way_around_the_door() {
    trybuild::TestCases::new().compile_fail("tests/must_not_compile/*.rs");
}
