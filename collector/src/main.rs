//! `plumbline-collector`: takes signed reports, keeps them, and says what nobody approved. Its parts arrive one by one.

fn main() {}
