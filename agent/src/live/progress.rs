//! Tells somebody how far a long look has come: how many names were walked over, how many bytes were summed.

/// A step of work that can take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// This many names more.
    Walked(u64),
    /// This many bytes more.
    Summed(u64),
}

/// Who is told, if anybody is.
#[derive(Default)]
pub(crate) struct Told(Option<Box<dyn Fn(Step) + Send>>);

impl Told {
    /// Calls `each` with each step.
    pub(crate) fn by(each: impl Fn(Step) + Send + 'static) -> Self {
        Self(Some(Box::new(each)))
    }

    pub(super) fn step(&self, step: Step) {
        if let Some(each) = &self.0 {
            each(step);
        }
    }
}
