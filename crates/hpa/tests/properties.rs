//! What holds for the model of KEDA and the HPA whatever happens to the workload, in whatever order.

#![expect(clippy::unwrap_used, reason = "the specs and targets made here are valid")]

use std::time::Duration;

use penstock_hpa::{
    Autoscaler, Behavior, Change, HpaFlags, JobLoad, JobStrategy, Load, Policy, Reading, ScaledJob,
    ScaledObject, ScalingRules, SelectPolicy, StatusReplicas, Trigger, desired_replicas,
};
use proptest::prelude::*;

/// One thing that happens, a while after the last.
#[derive(Clone, Debug)]
enum Happening {
    Poll(Vec<Reading>),
    Push,
    Sync(Vec<Reading>, u32),
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        4 => (0.0..300.0_f64, any::<bool>())
            .prop_map(|(value, active)| Reading::Known { value: value.into(), active }),
        1 => Just(Reading::Failed),
        1 => Just(Reading::SpecFailed),
    ]
}

fn happening() -> impl Strategy<Value = (u64, Happening)> {
    let readings = || prop::collection::vec(reading(), 2);
    let happening = prop_oneof![
        3 => readings().prop_map(Happening::Poll),
        1 => Just(Happening::Push),
        3 => (readings(), 0..30_u32).prop_map(|(readings, status)| Happening::Sync(readings, status)),
    ];
    (1..40_u64, happening)
}

fn rules() -> impl Strategy<Value = ScalingRules> {
    let change =
        prop_oneof![(1..10_u32).prop_map(Change::Pods), (1..300_u32).prop_map(Change::Percent)];
    let policy = (change, 1..120_u64)
        .prop_map(|(change, period)| Policy { change, period: Duration::from_secs(period) });
    let select =
        prop::sample::select(vec![SelectPolicy::Max, SelectPolicy::Min, SelectPolicy::Disabled]);
    let window = prop::option::of((0..400_u64).prop_map(Duration::from_secs));
    let tolerance = prop::option::of(0.0..0.5_f64);
    (window, prop::collection::vec(policy, 1..3), select, tolerance).prop_map(
        |(stabilization_window, policies, select, tolerance)| ScalingRules {
            stabilization_window,
            policies,
            select,
            tolerance,
        },
    )
}

prop_compose! {
    fn scaled_object()(
        min in 0..5_u32,
        above in 1..20_u32,
        with_idle in any::<bool>(),
        behavior in prop::option::of((rules(), rules())),
    ) -> ScaledObject {
        let trigger = Trigger { target: 5.0.try_into().unwrap(), activation: 0.0 };
        ScaledObject {
            triggers: vec![trigger; 2],
            cooldown_period: Duration::from_secs(60),
            min_replica_count: min,
            max_replica_count: min + above,
            idle_replica_count: (with_idle && min > 0).then_some(min / 2),
            behavior: behavior.map(|(scale_up, scale_down)| Behavior { scale_up, scale_down }),
            ..ScaledObject::default()
        }
    }
}

/// Lets it all happen from zero and shows the counts before and after each step.
fn live(
    spec: &ScaledObject,
    happenings: &[(u64, Happening)],
    mut check: impl FnMut(&Happening, u32, &Autoscaler),
) {
    let mut autoscaler = Autoscaler::new(spec.clone(), HpaFlags::default(), 0).unwrap();
    let mut now = Duration::ZERO;
    for (pause, happening) in happenings {
        now += Duration::from_secs(*pause);
        let before = autoscaler.replicas();
        let _verdict = match happening {
            Happening::Poll(readings) => autoscaler.poll(now, readings).verdict,
            Happening::Push => autoscaler.push(now).verdict,
            Happening::Sync(readings, status) => {
                autoscaler.hpa_sync(now, StatusReplicas(*status), readings)
            }
        };
        check(happening, before, &autoscaler);
    }
}

proptest! {
    #[test]
    fn the_replicas_are_zero_idle_or_within_the_bounds(
        spec in scaled_object(),
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        live(&spec, &happenings, |happening, before, autoscaler| {
            let replicas = autoscaler.replicas();
            let within = (spec.min_replica_count.max(1)..=spec.max_replica_count).contains(&replicas);
            let parked = replicas == 0 || Some(replicas) == spec.idle_replica_count;
            assert!(within || parked, "{before} → {replicas} by {happening:?}");
        });
    }

    #[test]
    fn where_a_trigger_fails_nothing_is_scaled_down(
        spec in scaled_object(),
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let failed = |readings: &[Reading]| !readings.iter().all(|reading| matches!(reading, Reading::Known { .. }));
        live(&spec, &happenings, |happening, before, autoscaler| match happening {
            Happening::Poll(readings) | Happening::Sync(readings, _) if failed(readings) => {
                assert!(autoscaler.replicas() >= before, "{before} → {} by {happening:?}", autoscaler.replicas());
            }
            Happening::Poll(_) | Happening::Sync(..) | Happening::Push => {}
        });
    }

    #[test]
    fn only_keda_moves_the_count_from_or_to_zero(
        spec in scaled_object(),
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        live(&spec, &happenings, |happening, before, autoscaler| match happening {
            Happening::Sync(..) => assert_eq!(before == 0, autoscaler.replicas() == 0),
            Happening::Poll(_) | Happening::Push => {}
        });
    }

    #[test]
    fn the_proposal_carries_the_load_within_the_tolerance(
        value in 0.0..1e6_f64,
        target in 0.01..1e3_f64,
        replicas in 0..1000_u32,
    ) {
        let load = Load {
            value: value.into(),
            target: target.try_into().unwrap(),
            replicas: StatusReplicas(replicas),
        };
        let capacity = f64::from(desired_replicas(load)) * target;
        prop_assert!(value <= capacity * 1.11 + 0.001, "{capacity} for {value}");
    }

    #[test]
    fn jobs_never_exceed_the_maximum(
        value in 0.0..500.0_f64,
        max_replica_count in 1..50_u32,
        running in 0..50_u32,
        pending in 0..50_u32,
        strategy in prop::sample::select(vec![JobStrategy::Default, JobStrategy::Accurate, JobStrategy::Eager]),
    ) {
        let job = ScaledJob { min_replica_count: 0, max_replica_count, strategy };
        let running = running.min(max_replica_count);
        let pending = pending.min(running);
        let load = JobLoad { value: value.into(), target: 1.0.try_into().unwrap(), active: true, running, pending };
        prop_assert!(running + job.jobs_to_create(load) <= max_replica_count);
    }
}
