//! Every text of a request or an answer, for whoever looks for something in it.

/// Visits every text that a person or a model wrote: all roles and parts, names, tool definitions and arguments, stop
/// sequences, identifiers. Binary payloads (images, audio, files in base64) and token numbers are not texts.
///
/// INVARIANT: whatever `write` passes on as a string of the caller's choice is visited.
pub trait Texts {
    /// Shows each text to `f`.
    fn each_text(&self, f: &mut dyn FnMut(&str));

    /// Lets `f` change each text.
    fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String));
}

impl Texts for String {
    fn each_text(&self, f: &mut dyn FnMut(&str)) {
        f(self);
    }

    fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
        f(self);
    }
}

impl Texts for crate::json::Opaque {
    fn each_text(&self, f: &mut dyn FnMut(&str)) {
        Self::each_text(self, f);
    }

    fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
        Self::each_text_mut(self, f);
    }
}

impl<T: Texts> Texts for Option<T> {
    fn each_text(&self, f: &mut dyn FnMut(&str)) {
        if let Some(one) = self {
            one.each_text(f);
        }
    }

    fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
        if let Some(one) = self {
            one.each_text_mut(f);
        }
    }
}

impl<T: Texts> Texts for Vec<T> {
    fn each_text(&self, f: &mut dyn FnMut(&str)) {
        self.iter().for_each(|one| one.each_text(f));
    }

    fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
        self.iter_mut().for_each(|one| one.each_text_mut(f));
    }
}

impl<T: Texts> Texts for crate::json::TextOr<T> {
    fn each_text(&self, f: &mut dyn FnMut(&str)) {
        match self {
            Self::Text(text) => f(text),
            Self::Other(other) => other.each_text(f),
        }
    }

    fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
        match self {
            Self::Text(text) => f(text),
            Self::Other(other) => other.each_text_mut(f),
        }
    }
}

impl<V: Texts> Texts for crate::json::Pairs<V> {
    fn each_text(&self, f: &mut dyn FnMut(&str)) {
        for (key, value) in self.iter() {
            f(key);
            value.each_text(f);
        }
    }

    fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
        for (key, value) in self.iter_mut() {
            f(key);
            value.each_text_mut(f);
        }
    }
}

/// Implements [`Texts`] by naming what holds texts: the fields of a struct, or what the variants of an enum bind.
macro_rules! texts {
    ($shape:ty: $($field:ident),*) => {
        impl $crate::openai::Texts for $shape {
            fn each_text(&self, f: &mut dyn FnMut(&str)) {
                $($crate::openai::Texts::each_text(&self.$field, f);)*
            }

            fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
                $($crate::openai::Texts::each_text_mut(&mut self.$field, f);)*
            }
        }
    };
    (enum $shape:ty: $($variant:pat => [$($bound:ident),*],)*) => {
        impl $crate::openai::Texts for $shape {
            fn each_text(&self, f: &mut dyn FnMut(&str)) {
                match self {
                    $($variant => { $($crate::openai::Texts::each_text($bound, f);)* })*
                }
            }

            fn each_text_mut(&mut self, f: &mut dyn FnMut(&mut String)) {
                match self {
                    $($variant => { $($crate::openai::Texts::each_text_mut($bound, f);)* })*
                }
            }
        }
    };
}
pub(crate) use texts;
