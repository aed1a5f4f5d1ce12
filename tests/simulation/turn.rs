//! Who wants a turn.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

/// Notes that a future wants a turn, and wakes the task that gives it.
#[derive(Default)]
pub struct Turn {
    /// Whether a turn is wanted.
    pub is_wanted: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.is_wanted.store(true, Ordering::SeqCst);
        if let Some(task) = &*self.task.lock().unwrap() {
            task.wake_by_ref();
        }
    }
}

impl Turn {
    /// A turn that is wanted from the start.
    pub fn wanted() -> Arc<Self> {
        let turn = Self::default();
        turn.is_wanted.store(true, Ordering::SeqCst);
        Arc::new(turn)
    }

    /// Whether a turn is wanted; takes the wish.
    pub fn take(&self, cx: &Context<'_>) -> bool {
        self.task.lock().unwrap().get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
        self.is_wanted.swap(false, Ordering::SeqCst)
    }
}
