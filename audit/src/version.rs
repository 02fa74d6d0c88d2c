//! Version ordering, exactly as each package manager orders.
