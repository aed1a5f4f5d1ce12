//! What must come out, one file for each kind of question.

mod graflow;
mod hpa;
mod many;
mod messages;
mod options;
mod outages;
mod restarts;
mod scaled_job;
mod signals;
mod transport;
mod workers;

use crate::cluster::Cluster;

/// Its name, and what runs it.
pub type Scenario = (&'static str, fn(&Cluster, &str));

/// A list of scenarios: functions of these modules that take a stage.
macro_rules! scenarios {
    ($($module:ident :: $scenario:ident),+ $(,)?) => {
        &[$((
            stringify!($scenario),
            |cluster: &Cluster, name: &str| cluster.run(name, $module::$scenario),
        )),+]
    };
}

/// Those that run at the same time, the longest first: they wait for clocks of KEDA and the HPA.
pub const TOGETHER: &[Scenario] = scenarios![
    scaled_job::as_many_jobs_are_created_as_there_are_jobs,
    graflow::ceil_of_depth_over_ten_from_one_to_twenty,
    hpa::the_highest_of_two_triggers_wins_and_a_missing_one_never_scales_in,
    hpa::what_it_did_is_what_the_model_says,
    messages::each_answer_to_a_wrong_trigger_is_seen_in_an_event_or_a_condition,
    options::an_idle_count_holds_until_there_is_a_job,
    options::a_fallback_comes_when_redis_is_unknown_and_goes_when_it_is_known,
    options::a_service_that_is_gone_scales_nothing_not_even_by_fallback,
    options::a_paused_object_keeps_its_replicas_and_follows_again_afterwards,
    options::a_formula_takes_two_triggers_as_one,
    restarts::an_object_that_comes_before_penstock_works_once_it_is_there,
    restarts::a_rolling_update_loses_no_activation_and_scales_nothing_in,
    signals::a_floor_is_there_in_one_step_and_ends_with_its_time_to_live,
    signals::replicas_follow_the_requests_of_an_application,
    signals::replicas_follow_the_age_of_the_oldest_job,
    signals::a_target_follows_how_long_jobs_run,
    transport::mutual_tls_by_an_authentication_of_the_namespace_and_of_the_cluster,
    transport::a_target_comes_by_the_metadata_and_no_stream_of_it_is_kept,
    workers::celery_goes_from_zero_to_twenty_and_back_and_cuts_no_task,
    workers::celery_workers_are_as_many_as_a_tolerated_wait_needs,
    workers::celery_workers_are_filled_to_the_load_that_is_asked_for,
    workers::rq_goes_from_zero_up_and_back,
    workers::bullmq_goes_from_zero_up_and_back,
    workers::a_streams_group_goes_from_zero_up_and_back,
    workers::two_queues_of_one_celery_broker_with_tls_and_a_password_from_a_secret,
];

/// Those that run on both KEDAs at once and with nothing beside: they break what others use, or have KEDA write much.
pub const IN_PAIRS: &[Scenario] = scenarios![
    outages::no_fault_of_redis_changes_a_replica_of_two_hundred_objects,
    restarts::streams_are_back_after_a_restart_of_keda_and_with_two_operators,
];

/// Those that need the whole machine.
pub const ALONE: &[Scenario] = scenarios![many::a_thousand_objects_wake_by_push];
