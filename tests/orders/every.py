"""All scenarios in very many orders: `make orders`."""

from __future__ import annotations

import argparse
from itertools import product

import structlog

from tests.orders import hands, scenarios
from tests.orders.explorer import OrderError, explore

# what holds however slow a thread is
AT_ANY_PACE = (
    scenarios.a_heartbeat_while_an_image_is_given_back,
    scenarios.duplicates_that_come_at_any_time,
    scenarios.a_flush_at_any_time,
    scenarios.batches_from_two_threads,
    scenarios.a_batch_that_nobody_takes,
    scenarios.commits_that_are_shared,
    scenarios.a_commit_that_fails,
    scenarios.refusals_at_one_time,
    scenarios.an_image_that_brings_another_while_the_pool_closes,
    scenarios.an_image_that_fails,
    scenarios.a_ticker_that_is_closed,
    scenarios.copies_of_one_picture,
    hands.images_with_copies_and_duplicates,
    hands.an_image_that_is_left_to_a_redelivery,
    hands.a_stop_at_any_time,
)
# what has its time: of a thread that is slow it cannot hold
IN_TIME = (
    scenarios.items_that_linger,
    scenarios.calls_that_share_a_quota,
    scenarios.a_stop_while_calls_wait,
    scenarios.images_in_a_pool,
    scenarios.errors_at_one_time,
    scenarios.a_signal_at_any_time,
    scenarios.a_second_signal,
    hands.an_image_that_hangs_while_the_worker_stops,
)
MOST, BY_CHANCE = 15_000, 1_000


def main() -> int:
    """Returns the exit status: 0 when each order went well."""
    parser = argparse.ArgumentParser("python -m tests.orders", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the orders by chance; default: 0")
    seed = parser.parse_args().seed
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    total = wrong = 0
    for scenario, slow in [*product(AT_ANY_PACE + IN_TIME, [False]), *product(AT_ANY_PACE, [True])]:
        name = scenario.__name__.replace("_", " ") + (", slow threads" if slow else "")
        try:
            tried = explore(scenario, MOST, BY_CHANCE, slow, seed)
        except OrderError as error:
            wrong += 1
            print(f"{name}: {error}", flush=True)  # noqa: T201
        else:
            total += tried.runs
            print(f"{name}: {tried.runs:,} orders", flush=True)  # noqa: T201
    print(f"{total:,} orders went well, {wrong} scenarios did not")  # noqa: T201
    return bool(wrong)
