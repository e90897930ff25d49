//! Price lists: an error with a line, or prices that bound what they cost.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{Catalogue, TokenUse};

fuzz_target!(|text: &str| {
    let Ok(list) = Catalogue::parse(text) else { return };
    for model in list.models() {
        let used = TokenUse { input: 1000, cached_input: 100, cache_written: 10, output: 1000 };
        assert!(model.price.cost(used) <= model.price.bound(1000, 1000));
    }
});
