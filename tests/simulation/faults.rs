//! What goes wrong: connections, the server, the network, the clock and the process itself.
//!
//! The sampler must survive each of them, and the list of them is the promise.

use penstock::sampling::{Change, Fault};

use crate::{
    catalog::KEYS,
    chaos,
    server::Model,
    weather::Weather,
    wire::{Event, Frame, Health},
};

/// The shortest time between two settings of the clock, so that one is noticed before the next.
const CLOCK_PAUSE_MS: u64 = 6_000;

/// How the client hears of a connection that is lost.
#[derive(Debug, Clone, Copy)]
enum Heard {
    AtOnce,
    Late,
    Never,
}

/// Something goes wrong, or is mended. Tells until when the worker has no turn, if so.
pub fn strike(model: &mut Model) -> Option<u64> {
    model.tick();
    let now = model.now.ms;
    match model.random.u8(..27) {
        0 => lose(model, Heard::AtOnce, Health::Broken),
        1 => lose(model, Heard::Never, Health::Broken),
        2 => lose(model, Heard::Never, Health::Hanging),
        3 => lose(model, Heard::Late, Health::Broken),
        4 => lose(model, Heard::Late, Health::Hanging),
        5 | 6 => half_open(model),
        7 | 8 => {
            let until = now + outage(model);
            model.weather.refusing_until = until;
            model.weather.is_loading = model.random.bool();
            model.note(format_args!("refuses until {until}"));
        }
        9 | 10 => {
            let until = now + model.random.u64(50..2_500);
            model.weather.stopped_until = until;
            model.note(format_args!("stopped until {until}"));
        }
        11 => restart(model),
        12..=14 => {
            let key = model.random.usize(..KEYS.len());
            let fails = model.weather.failing[key] ^ true;
            model.weather.failing[key] = fails;
            model.note(format_args!("reads of {} fail: {fails}", KEYS[key].0));
        }
        15 | 24..=26 => set_clock(model),
        16 => hide_time(model),
        17 | 18 => stall(model),
        19 => return Some(now + model.random.u64(1..=20)),
        20 | 21 => {
            let delay = Weather::near_a_deadline(&mut model.random);
            model.weather.slow_reply = Some(delay);
            model.note(format_args!("the next replies take {delay} ms"));
        }
        22 => model.weather.miscounts = true,
        _ => {
            let delay = [u64::MAX, 880, 895, 900, 905][model.random.usize(..5)];
            model.weather.slow_connect = Some(delay);
        }
    }
    None
}

/// Mostly short, sometimes longer than a stale budget.
fn outage(model: &mut Model) -> u64 {
    let most = if model.random.u8(..8) == 0 { 9_000 } else { 1_200 };
    model.random.u64(..most)
}

/// The connections that the server still knows.
fn known(model: &Model) -> Vec<usize> {
    (0..model.conns.len()).filter(|id| model.conns[*id].is_known).collect()
}

fn lose(model: &mut Model, heard: Heard, health: Health) {
    for id in known(model) {
        model.note(format_args!("c{id} is lost, heard {heard:?}, then {health:?}"));
        let delay = match heard {
            Heard::AtOnce => Some(model.weather.delay(&mut model.random)),
            Heard::Late => Some(model.random.u64(10..3_000)),
            Heard::Never => None,
        };
        let conn = &mut model.conns[id];
        (conn.is_known, conn.health) = (false, health);
        let unanswered: Vec<_> = conn.inbox.drain(..).map(|request| request.asker).collect();
        if conn.is_mute {
            conn.limbo.extend(unanswered);
            continue;
        }
        let at = model.now;
        if let Some(delay) = delay {
            model.dispatch(id, delay, Frame::Push(Change::LinkLost, at));
        }
        for asker in unanswered {
            if health == Health::Broken {
                let fault = Fault::Unreachable("connection reset".to_owned());
                model.dispatch(id, 0, Frame::Replies(asker, Err(fault)));
            } else {
                model.conns[id].limbo.push(asker);
            }
        }
    }
}

/// A network that drops packets without a word, in one direction or both.
fn half_open(model: &mut Model) {
    let is_deaf = model.random.bool();
    for id in known(model) {
        model.note(format_args!("c{id} is half open, commands arrive: {}", !is_deaf));
        let conn = &mut model.conns[id];
        conn.is_mute = true;
        if is_deaf {
            conn.health = Health::Hanging;
            let unheard = conn.inbox.drain(..).map(|request| request.asker);
            conn.limbo.extend(unheard);
        }
        for frame in conn.outbox.lose() {
            if let Frame::Replies(asker, _) = frame {
                conn.limbo.push(asker);
            }
        }
    }
}

fn restart(model: &mut Model) {
    lose(model, Heard::AtOnce, Health::Broken);
    model.weather.refusing_until = model.now.ms + model.random.u64(..800);
    if model.random.bool() {
        model.tick();
        model.note(format_args!("restarted without data"));
        (0..KEYS.len()).for_each(|key| chaos::empty(model, key));
        model.flushed();
    }
}

fn set_clock(model: &mut Model) {
    let now = model.now;
    let is_quiet = model.data.clock.set_at().is_none_or(|ms| now.ms > ms + CLOCK_PAUSE_MS);
    let is_told =
        !model.weather.hides_time && now.ms > model.weather.clock_told_since + CLOCK_PAUSE_MS;
    if is_quiet && is_told {
        let seconds = model.random.i64(2..20) * if model.random.bool() { 1 } else { -1 };
        model.data.clock.set(now, seconds * 1_000_000);
        model.note(format_args!("clock set by {seconds} s"));
    }
}

fn hide_time(model: &mut Model) {
    let now = model.now.ms;
    if model.weather.hides_time {
        (model.weather.hides_time, model.weather.clock_told_since) = (false, now);
    } else if model.data.clock.set_at().is_none_or(|ms| now > ms + CLOCK_PAUSE_MS) {
        model.weather.hides_time = true;
    }
    let hides = model.weather.hides_time;
    model.note(format_args!("time is hidden: {hides}"));
}

/// The task that drives the connections has no turn for a while.
fn stall(model: &mut Model) {
    let until = model.now.ms + model.random.u64(1..1_000);
    for id in known(model) {
        model.note(format_args!("c{id} stalls until {until}"));
        model.conns[id].stalled_until = until;
    }
}

/// Everything heals; what is on its way arrives.
pub fn heal(model: &mut Model) {
    model.tick();
    let now = model.now.ms;
    model.note(format_args!("calm"));
    model.weather.clear(now);
    for id in 0..model.conns.len() {
        let conn = &mut model.conns[id];
        conn.stalled_until = now;
        conn.inbox.iter_mut().for_each(|request| request.arrives = now);
        let waiting = [
            (Event::Execute(id), conn.inbox.len()),
            (Event::Arrive(id), conn.outbox.hurry(now)),
            (Event::Reply(id), conn.replies.hurry(now)),
            (Event::Report(id), conn.pushes.hurry(now)),
        ];
        for (event, count) in waiting {
            (0..count).for_each(|_| model.plan(now, event));
        }
    }
    for place in 0..model.knocks.len() {
        model.plan(now, Event::Accept(place));
    }
}
