//! What the name of a key says of itself: that a framework makes such keys, and of which queue.
//!
//! People write the key that they saw in Redis where the queue's own name belongs, and are told. Names are
//! compared with the templates of the layouts, so that a layout says by itself how its keys look.

use super::{
    definition::{
        form::{Filling, Form},
        template::Template,
    },
    layout::Layout,
    name::Name,
    parameter::{Arguments, ParameterKind},
    registry::Registry,
};

impl Layout {
    /// The parameter that has the names of queues.
    fn of_queues(&self) -> Option<&str> {
        let is_queue = |kind: &ParameterKind| *kind == ParameterKind::Keys;
        let parameter = self.parameter("queue")?;
        self.parameters()
            .find(|(_, one)| *one == parameter && is_queue(&one.kind))
            .map(|(name, _)| name)
    }

    /// The forms of its keys with these arguments, or where they say nothing with the defaults.
    fn forms(&self, arguments: &Arguments) -> Vec<Form> {
        let Some(queue) = self.of_queues() else { return vec![] };
        let filling = |name: &str| {
            if let [(value, _)] = arguments.values(name)[..] {
                return Some(Filling::Is(value.to_vec()));
            }
            let parameter = self.parameter(name)?;
            match &parameter.kind {
                ParameterKind::Name { default: Some(default) } => {
                    Some(Filling::Is(parameter.name(default).as_bytes().to_vec()))
                }
                ParameterKind::Choice { default, .. } => {
                    Some(Filling::Is(default.as_bytes().to_vec()))
                }
                ParameterKind::Name { default: None } if !parameter.required => None,
                ParameterKind::Words { .. }
                | ParameterKind::Keys
                | ParameterKind::Name { default: None } => Some(Filling::Open),
                ParameterKind::Pattern | ParameterKind::Duration { .. } => None,
            }
        };
        let forms = |template: &Template| template.form(queue, &filling);
        let is_any = |form: &Form| form.given() > 0;
        self.definition.every_key().filter_map(forms).filter(is_any).collect()
    }

    /// The forms by which a key can be told to be one of this layout; none where the queue's own key is
    /// its name and nothing else, which any key may be.
    pub(super) fn telling_forms(&self) -> Vec<Form> {
        let is_waiting = self.of_queues().is_some_and(|queue| {
            let mut plain = self.definition.waiting_keys().filter(|key| key.is_only(queue));
            plain.next().is_none()
        });
        if !is_waiting {
            return vec![];
        }
        self.forms(&Arguments::default()).into_iter().filter(Form::is_telling).collect()
    }

    /// The queue whose key this name of a queue is, if it is written as a key of this layout has it:
    /// `bull:emails:wait`, or `bull:emails`, in place of `emails`.
    #[must_use]
    pub fn queue_within(&self, name: &[u8], arguments: &Arguments) -> Option<Name> {
        let (given, by_default) = (self.forms(arguments), self.forms(&Arguments::default()));
        let forms = || given.iter().chain(&by_default);
        let whole = forms().filter_map(|form| Some((form.given(), form.queue_of(name)?)));
        let begun = || forms().filter_map(|form| form.begun(name)).next();
        whole.max_by_key(|(given, _)| *given).map(|(_, queue)| queue).or_else(begun).map(Name::new)
    }
}

impl Registry {
    /// The layouts that have such a key, and the queue that it is of; none where any key could look so.
    #[must_use]
    pub fn layouts_with_key(&self, key: &[u8]) -> Vec<(&str, Name)> {
        let mut found: Vec<(usize, &str, &[u8])> = vec![];
        for layout in self.layouts() {
            let fitting = layout.telling.iter();
            let fitting = fitting.filter_map(|form| Some((form.given(), form.queue_of(key)?)));
            if let Some((given, queue)) = fitting.max_by_key(|(given, _)| *given) {
                found.push((given, layout.name(), queue));
            }
        }
        let most = found.iter().map(|(given, _, _)| *given).max();
        let best = found.into_iter().filter(|(given, _, _)| Some(*given) == most);
        best.map(|(_, layout, queue)| (layout, Name::new(queue))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layouts::{Argument, Weight};

    fn told(key: &str) -> Vec<(String, String)> {
        let found = Registry::builtin().layouts_with_key(key.as_bytes());
        found.into_iter().map(|(layout, queue)| (layout.to_owned(), queue.to_string())).collect()
    }

    #[test]
    fn a_key_of_a_framework_names_its_layout_and_its_queue() {
        for (key, layouts, queue) in [
            ("bull:jobs:wait", &["bull", "bullmq"][..], "jobs"),
            ("bull:jobs:prioritized", &["bullmq"], "jobs"),
            ("bq:jobs:waiting", &["bee-queue"], "jobs"),
            ("rq:queue:emails", &["rq"], "emails"),
            ("rq:wip:emails", &["rq"], "emails"),
            ("queue:default", &["sidekiq"], "default"),
            ("resque:queue:x", &["resque"], "x"),
            ("dramatiq:x", &["dramatiq"], "x"),
            ("dramatiq:x.msgs", &["dramatiq"], "x"),
            ("huey.redis.x", &["huey"], "x"),
            ("asynq:{q}:pending", &["asynq"], "q"),
            ("queues:x", &["laravel"], "x"),
            ("laravel_database_queues:x:reserved", &["laravel"], "x"),
            ("celery\x06\x163", &["celery"], "celery"),
            ("celery\x06\x165", &["celery"], "celery"),
        ] {
            let wanted: Vec<_> =
                layouts.iter().map(|layout| ((*layout).to_owned(), queue.to_owned())).collect();
            assert_eq!(told(key), wanted, "{key}");
        }
    }

    #[test]
    fn a_key_that_anybody_may_have_names_no_layout() {
        for key in [
            "emails",
            "emails:queue",
            "emails:processing",
            "jobs:wait",
            "penstock:inflight:emails",
            "app:queue:emails",
            "queue",
            "queue:",
            "bull:",
            "a\x06b",
            "celery",
            "delayed_tasks",
        ] {
            assert_eq!(told(key), [], "{key}");
        }
    }

    #[test]
    fn a_queue_that_is_written_as_a_key_of_its_layout_is_told_apart() {
        let within = |layout: &str, name: &str, prefix: Option<(&str, &str)>| {
            let mut arguments = Arguments::default();
            if let Some((parameter, prefix)) = prefix {
                let names = vec![(prefix.into(), Weight::ONE)];
                arguments.set(parameter, Argument::Names(names));
            }
            let layout = Registry::builtin().get(layout).unwrap();
            layout.queue_within(name.as_bytes(), &arguments).map(|queue| queue.to_string())
        };
        for (layout, name, queue) in [
            ("bull", "bull:jobs:wait", "jobs"),
            ("bull", "bull:jobs", "jobs"),
            ("bullmq", "bull:jobs:active", "jobs"),
            ("rq", "rq:queue:emails", "emails"),
            ("sidekiq", "queue:default", "default"),
            ("asynq", "asynq:{default}:pending", "default"),
            ("asynq", "asynq:{default}", "default"),
            ("laravel", "queues:x", "x"),
            ("resque", "resque:queue:x", "x"),
            ("dramatiq", "dramatiq:x", "x"),
            ("huey", "huey.redis.x", "x"),
            ("graflow", "graflow:queue", "graflow"),
            ("lease", "penstock:inflight:emails", "emails"),
            ("reliable-list", "emails:processing", "emails"),
        ] {
            assert_eq!(within(layout, name, None).as_deref(), Some(queue), "{layout} {name}");
        }
        let prefixed = within("bull", "app:jobs:wait", Some(("prefix", "app:")));
        assert_eq!(prefixed.as_deref(), Some("jobs"));
        for (layout, name) in [
            ("bull", "jobs"),
            ("bull", "app:jobs:wait"),
            ("rq", "emails"),
            ("celery", "celery"),
            ("arq", "arq:queue"),
            ("stream", "orders"),
            ("taskiq", "taskiq"),
            ("sidekiq", "queue"),
        ] {
            assert_eq!(within(layout, name, None), None, "{layout} {name}");
        }
    }
}
