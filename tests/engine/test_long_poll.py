"""Held polls: how long, in which order they are served, and clients that leave."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from .conftest import DEADLINE_S, Api


def test_without_long_polling_the_answer_is_empty_at_once(api: Api) -> None:
    assert api.ask(requestTimeout=-1).content == b'{"jobs":[]}'


def test_a_held_poll_ends_empty_after_its_time(api: Api) -> None:
    assert api.ask(requestTimeout=30).content == b'{"jobs":[]}'


def test_no_request_timeout_means_the_engines_default(api: Api) -> None:
    api.settings(default_hold_ms=20)
    body = {"type": "work", "maxJobsToActivate": 1, "timeout": 1_000}
    assert api.post("/v2/jobs/activation", body).json() == {"jobs": []}
    assert api.post("/v2/jobs/activation", body | {"requestTimeout": 0}).json() == {"jobs": []}


def test_a_held_poll_gets_the_next_job_without_waiting_for_more(api: Api) -> None:
    with ThreadPoolExecutor() as pool:
        poll = pool.submit(api.activate, requestTimeout=60_000)
        api.until_polls(held=1)
        (key,) = api.add()
        (job,) = poll.result(DEADLINE_S)
    assert int(job["jobKey"]) == key


def test_held_polls_are_served_in_their_order(api: Api) -> None:
    with ThreadPoolExecutor() as pool:
        polls = []
        for number in range(3):
            polls.append(pool.submit(api.activate, requestTimeout=60_000, maxJobsToActivate=1, worker=str(number)))
            api.until_polls(held=number + 1)
        keys = api.add(count=3)
        jobs = [poll.result(DEADLINE_S)[0] for poll in polls]
    assert [int(job["jobKey"]) for job in jobs] == keys
    assert [job["worker"] for job in jobs] == ["0", "1", "2"]


def test_a_job_handed_back_goes_to_a_held_poll(api: Api) -> None:
    key = api.take()
    with ThreadPoolExecutor() as pool:
        poll = pool.submit(api.activate, requestTimeout=60_000)
        api.until_polls(held=1)
        api.settle(key, "failure", {"retries": 3, "errorMessage": "back"})
        assert poll.result(DEADLINE_S)[0]["jobKey"] == key


def test_an_expired_lease_and_a_back_off_wake_a_held_poll(api: Api) -> None:
    key = api.take(timeout=1_000)
    with ThreadPoolExecutor() as pool:
        poll = pool.submit(api.activate, requestTimeout=60_000)
        api.until_polls(held=1)
        api.advance(1_000)
        assert poll.result(DEADLINE_S)[0]["jobKey"] == key
        api.settle(key, "failure", {"retries": 2, "retryBackOff": 30_000})
        poll = pool.submit(api.activate, requestTimeout=60_000)
        api.until_polls(held=1)
        api.advance(30_000)
        assert poll.result(DEADLINE_S)[0]["retries"] == 2


def test_a_departed_client_is_noticed_by_newer_servers(api: Api) -> None:
    connection = api.raw_poll()
    api.until_polls(held=1)
    connection.close()
    api.until_polls(held=0)
    (key,) = api.add()
    assert [int(job["jobKey"]) for job in api.activate()] == [key]
    assert api.account()["undelivered"] == 0


def test_a_departed_client_takes_its_whole_batch_into_limbo_on_the_old_dialect(old: Api) -> None:
    connection = old.raw_poll()
    old.until_polls(held=1)
    connection.close()
    old.until_polls(departed=1)
    keys = old.add(count=3)
    assert old.activate() == []
    assert old.account() | {"undelivered": 3, "in_flight": 3, "expired": 0} == old.account()
    old.advance(60_000)
    assert [job["key"] for job in old.activate()] == keys
    assert old.account()["expired"] == 0


def test_whether_departed_clients_are_noticed_can_be_switched(api: Api) -> None:
    api.settings(notices_departed=False)
    connection = api.raw_poll()
    api.until_polls(held=1)
    connection.close()
    api.until_polls(departed=1)
    api.add()
    assert api.activate() == []


def test_a_departed_poll_is_forgotten_when_its_hold_ends(old: Api) -> None:
    connection = old.raw_poll(requestTimeout=5_000)
    old.until_polls(held=1)
    connection.close()
    old.until_polls(departed=1)
    old.advance(5_000)
    (key,) = old.add()
    assert [job["key"] for job in old.activate()] == [key]
