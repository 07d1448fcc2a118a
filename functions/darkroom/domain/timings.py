"""Every grace, budget and window, in seconds. A stage may override any of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timings:
    """Production values; the embedded cloud shortens them, so that recovery shows in seconds."""

    create_budget_s: float = 3.0
    """Wall-clock cap on submit's POST, counted from the gateway's receipt of the request."""
    dispatch_budget_s: float = 20.0
    """Wall-clock cap on dispatch's POST."""
    create_margin_s: float = 10.0
    """An attempt counts as unfinished until its budget and this margin have passed."""
    unknown_grace_s: float = 75.0
    """The sweep first looks for an unknown create this long after its attempt is over. Sooner would
    change nothing: it is repeated after `create_silence_s` at the earliest."""
    create_silence_s: float = 180.0
    """How long webhook and list must both be silent before an unknown create may be repeated:
    two minutes, and twice the half minute by which clocks of our own may differ."""
    create_give_up_s: float = 3000.0
    """Past this age an unknown create is never repeated: the provider's own record may be gone."""
    unknown_poll_s: float = 30.0
    """Pause between two looks at the provider's list for an unknown create."""
    first_poll_s: float = 90.0
    """First poll this long after the model's typical duration."""
    poll_max_s: float = 300.0
    """Longest pause between two polls."""
    store_grace_s: float = 90.0
    """A storing record is handed to persist again after this long without news."""
    store_retry_s: float = 15.0
    """First pause after a failed copy; doubles up to `store_grace_s`."""
    output_budget_s: float = 60.0
    """Wall-clock cap on the download of one output."""
    output_life_s: float = 3600.0
    """The provider deletes outputs this long after completion."""
    effects_grace_s: float = 60.0
    """A terminal record whose effects are not marked done is taken up by the sweep after this."""
    cancel_retry_s: float = 15.0
    """Pause between two attempts to cancel upstream."""
    parked_retry_s: float = 60.0
    """Pause between two attempts while the provider refuses our token or our account."""
    refused_retry_s: float = 2.0
    """First pause after a refused create that named none; doubles, with jitter, up to a minute."""
    clocks_apart_s: float = 2.0
    """By so much the clocks of two of our processes may usually differ."""
    due_slack_s: float = 30.0
    """So much earlier or later than it would be ideal, a record may be due."""
    claim_s: float = 60.0
    """A record claimed by one sweep is due again after this long."""
    longest_life_s: float = 86_400.0
    """A prediction is over so long after its creation, whatever its deadline: with the provider's
    own hour added, this is the last clock of every record."""
    default_deadline_s: float = 86_400.0
    """Deadline of a prediction whose client and model set none. It counts the queue and the boot
    of a cold model too, and so stands far beyond the provider's own limit on a run."""
    run_limit_s: float = 1800.0
    """The provider ends a run after this long. What is billed by the second is reserved for so long
    where client and model set no limit."""
    callback_scale: float = 1.0
    """Shortens every pause between two attempts of a callback by this factor."""
    callback_claim_s: float = 60.0
    """An attempt without a result after this long counts as lost, and is made again."""
    callback_grace_s: float = 60.0
    """The sweep enqueues a callback whose message has not come this long after its time."""
    callback_disable_s: float = 432_000.0
    """An endpoint that has failed for so long, without one success, is called no more."""
