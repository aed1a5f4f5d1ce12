//! What has no framework: a consumer group of a stream and a list with a processing list, by the
//! commands that workers of any language send.

use deadpool_redis::redis::Value;

use crate::stage::{Stage, counts};

#[test]
fn entries_of_a_group_are_counted_from_the_stream_through_a_dead_consumer_to_their_end() {
    let stage = Stage::new("streams, redis 7");
    let trigger = "layout=stream queue=s group=g";
    stage.redis.run(&"XADD s * job 1\n".repeat(6));
    stage.is("no group yet", trigger, counts(6, 0, 0));
    stage.redis.run("XGROUP CREATE s g 0");
    stage.is("queued", trigger, counts(6, 0, 0));
    stage.redis.run("XREADGROUP GROUP g one COUNT 2 STREAMS s >");
    stage.is("running", trigger, counts(4, 0, 2));
    // Nobody hears of `one` again; `two` takes over what it had, and one more.
    stage.redis.run("XREADGROUP GROUP g two COUNT 1 STREAMS s >");
    stage.redis.run("XAUTOCLAIM s g two 0 0");
    stage.is("recovered", trigger, counts(3, 0, 3));
    acknowledge(&stage);
    stage.is("acknowledged", trigger, counts(3, 0, 0));
    stage.redis.run("XREADGROUP GROUP g two COUNT 9 STREAMS s >");
    acknowledge(&stage);
    stage.is("drained", trigger, counts(0, 0, 0));
}

/// Acknowledges and deletes all that the group has pending.
fn acknowledge(stage: &Stage) {
    let pending = stage.redis.ask::<Vec<(String, Value, Value, Value)>>("XPENDING s g - + 100");
    for (entry, ..) in pending {
        stage.redis.run(&format!("XACK s g {entry}\nXDEL s {entry}"));
    }
}

#[test]
fn jobs_moved_to_a_processing_list_are_counted_from_the_list_through_a_dead_worker_to_their_end() {
    let stage = Stage::new("reliable list");
    let (plain, wakes) =
        ("layout=reliable-list queue=q", "layout=reliable-list queue=q orphans=wake");
    stage.redis.run("LPUSH q a b c d");
    stage.is("queued", plain, counts(4, 0, 0));
    stage.redis.run("LMOVE q q:processing RIGHT LEFT\nLMOVE q q:processing RIGHT LEFT");
    stage.is("running", plain, counts(2, 0, 2));
    stage.is("running", wakes, counts(2, 0, 0).and_orphaned(2));
    stage.redis.run("LMOVE q:processing q RIGHT RIGHT");
    stage.is("recovered", plain, counts(3, 0, 1));
    stage.redis.run("LREM q:processing 1 b\nDEL q");
    stage.is("drained", plain, counts(0, 0, 0));
}
