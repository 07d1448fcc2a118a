"""All grace periods, budgets and windows, in seconds. A stage may override any of them."""

from __future__ import annotations

from darkroom.domain.values import immutable


@immutable
class Timings:
    """Production values. The embedded cloud shortens them, so that recovery shows within
    seconds."""

    create_budget_s: float = 3.0
    """Limit on the wall-clock time of submit's POST, from the gateway's receipt of the request."""
    dispatch_budget_s: float = 20.0
    """Limit on the wall-clock time of dispatch's POST."""
    create_margin_s: float = 10.0
    """An attempt counts as unfinished until its budget and this margin have passed."""
    unknown_grace_s: float = 75.0
    """Time after the end of an attempt at which the sweep first searches for an unknown create.
    Earlier would not help, because it is repeated after `create_silence_s` at the earliest."""
    create_silence_s: float = 180.0
    """Time without evidence in webhook and list after which an unknown create may be repeated: two
    minutes, plus twice the half minute by which our own clocks may differ."""
    create_give_up_s: float = 3000.0
    """Age after which an unknown create is never repeated, because the provider's record may be
    deleted."""
    unknown_poll_s: float = 30.0
    """Interval between two searches of the provider's list for an unknown create."""
    first_poll_s: float = 90.0
    """Time of the first poll after the model's typical duration."""
    poll_max_s: float = 300.0
    """Maximum interval between two polls."""
    store_grace_s: float = 90.0
    """Time without progress after which a storing record is queued for persist again."""
    store_retry_s: float = 15.0
    """Delay after a first failed copy; doubles up to `store_grace_s`."""
    output_budget_s: float = 60.0
    """Limit on the wall-clock time of the download of one output."""
    output_life_s: float = 3600.0
    """Time after completion at which the provider deletes outputs."""
    effects_grace_s: float = 60.0
    """Time after which the sweep handles a terminal record whose effects are not marked as done."""
    cancel_retry_s: float = 15.0
    """Interval between two attempts to cancel upstream."""
    parked_retry_s: float = 60.0
    """Interval between two attempts while the provider rejects our token or our account."""
    refused_retry_s: float = 2.0
    """Delay after a first refused create without Retry-After; doubles, with jitter, up to a
    minute."""
    clocks_apart_s: float = 2.0
    """Usual maximum difference between the clocks of two of our processes."""
    due_slack_s: float = 30.0
    """Tolerated deviation of a record's due time from the ideal one."""
    claim_s: float = 60.0
    """Time after which a record claimed by one sweep is due again."""
    longest_life_s: float = 86_400.0
    """Maximum age of a prediction, whatever its deadline. With the provider's own hour added, this
    is the final deadline of every record."""
    default_deadline_s: float = 86_400.0
    """Deadline of a prediction if client and model set none. It includes the queue and the boot of
    a cold model, so it is far longer than the provider's own limit on a run."""
    run_limit_s: float = 1800.0
    """The provider ends a run after this time. Prices by the second reserve this time if client and
    model set no limit."""
    callback_scale: float = 1.0
    """Factor for every delay between two attempts of a callback."""
    callback_claim_s: float = 60.0
    """Time after which an attempt without a result counts as lost, and is repeated."""
    callback_grace_s: float = 60.0
    """Delay after which the sweep enqueues a callback whose message is missing."""
    callback_disable_s: float = 432_000.0
    """Time of failures without one success after which an endpoint is disabled."""
