"""The attack cases that Darkroom must withstand: 62 on the webhook, 72 on everything else.

A test that covers a case has its number in its name: `test_w6_…`, or a parameter `W6-…`; the tests
of one case are found by `pytest -k "W6 and not W6_"`. tests/adapters/test_cases.py checks that none
is missing. Each line has the input and, after the arrow, the required result. Refused also
means: no row is written, nothing is called upstream, no 5xx, nothing echoed or leaked.
"""

from __future__ import annotations

CASES = {
    # Webhook, headers: 401 with one constant body
    "W1": "no webhook-id → 401",
    "W2": "no webhook-timestamp → 401",
    "W3": "no webhook-signature → 401",
    "W4": "one of the three empty → 401",
    "W5": "one of the three blank → 401",
    "W6": "header names in mixed case → accepted",
    "W7": "svix-* names alone → 401",
    "W8": "an event of payload 1.0, multiValueHeaders alone → accepted",
    "W9": "two differing signature headers → 401",
    "W10": "two ids or two timestamps → 401",
    "W11": "one name in two casings → 401",
    "W12": "headers null → 401",
    "W13": "repeated headers joined by a comma → 401",
    "W14": "CR, LF or NUL in a header → 401",
    "W15": "a header beyond ASCII → 401",
    "W16": "a header of 8 kB → 401",
    "W17": "more than 10,240 bytes of headers → refused by the gateway, or 401",
    # Webhook, timestamp; each with a correct MAC over it
    "W18": "text → 401",
    "W19": "a float → 401",
    "W20": "an exponent → 401",
    "W21": "underscores → 401",
    "W22": "leading plus, space or zeros → 401",
    "W23": "digits of other scripts → 401",
    "W24": "negative → 401",
    "W25": "nan and infinity → 401",
    "W26": "400 and 5000 digits → 401, in bounded time",
    "W27": "milliseconds → 401",
    "W28": "301 s ago → 401",
    "W29": "301 s ahead → 401",
    "W30": "300 s ago or ahead → accepted",
    # Webhook, signature
    "W31": "no comma → 401",
    "W32": "the tag alone → 401",
    "W33": "the first eight characters → 401",
    "W34": "one bit flipped → 401",
    "W35": "the last character spelled otherwise, same bytes → 401",
    "W36": "junk inside the base64 → 401",
    "W37": "bytes behind the padding → 401",
    "W38": "no padding → 401",
    "W39": "the URL-safe alphabet → 401",
    "W40": "hex → 401",
    "W41": "another tag → 401",
    "W42": "the good one among seven bad → accepted; 10,000 → 401",
    "W43": "a malformed entry before the good one → accepted",
    "W44": "a tab, two spaces, a leading space → 401",
    "W45": "a MAC by an empty key, by the secret's text, with its prefix → 401",
    "W46": "a MAC over the body alone, without the time, in another order → 401",
    "W47": "id and time shifted over their boundary → 401",
    # Webhook, body
    "W48": "one byte changed → 401",
    "W49": "the same JSON written otherwise → 401",
    "W50": "base64 flagged → accepted; not flagged → 401; flagged and none → 400",
    "W51": "no body → 401; signed → 400",
    "W52": "a byte order mark → 401; signed → 400",
    "W53": "not UTF-8 → 401; signed → 400",
    "W54": "UTF-16 → 401; signed → 400",
    "W55": "signed NaN, Infinity, 1e999 → read as null",
    "W56": "signed duplicate keys → 400 where the field is ours, else the last one counts",
    "W57": "signed, 200 levels deep → read; 100,000 → 400",
    "W58": "signed, 5 MB of logs or output → 200, what is kept is bounded",
    # Webhook, meaning
    "W59": "a repetition → 200 without effect; after the tolerance → 401",
    "W60": "a prediction at another record's URL → 200, neither changes, a metric",
    "W61": "signed, but by another stage of the account → 401 by our link token",
    "W62": "signed, of unexpected content → never a 5xx, never moves what is over; an unknown "
    "status → still running",
    # Submit and JSON
    "A1": "not JSON → 400",
    "A2": "no object → 400",
    "A3": "duplicate keys → 400",
    "A4": "NaN, Infinity, 1e999 → 400",
    "A5": "200 levels deep and more → 400",
    "A6": "an integer of 5000 digits → 400",
    "A7": "an integer of 39 digits → 422, or kept to the letter",
    "A8": "1E+126 → 422, or kept to the letter",
    "A9": "a float → accepted, and no DynamoDB number",
    "A10": "a lone surrogate → 400",
    "A11": "NUL in a text → 422",
    "A12": "unknown fields → 422; the client's webhook is never the provider's",
    "A13": "wrong types, true for a number → 422",
    "A14": "an empty or blank prompt → 422; a megabyte of it → 413",
    "A15": "above 10 MB → 413 from the gateway; above our own caps → 413",
    "A16": "another content type, charset or encoding → 415",
    "A17": "a record at its largest → the write does not fail",
    "A18": "input 33 levels deep → 422, or a string: never a DynamoDB map",
    # Ids and paths
    "A19": "path traversal in an id → 404",
    "A20": "an id of 2,049 bytes → 404",
    "A21": "slash, hash, question mark, NUL, line break in an id → 404",
    "A22": "another tenant's id → as an unknown one, in answer and calls",
    "A23": "enumeration → 404; ids of 128 random bits and no time in them",
    "A24": "an id in other case or Unicode form → 404",
    "A25": "a cursor that is not ours, or another tenant's → 400",
    "A26": "limit of -1, 0, 1e9, abc → 400",
    "A27": "an id that names an internal row → 404",
    # URLs: a client's → 422; the provider's → never fetched
    "A28": "http → refused; of an input: passed on, since the provider fetches it",
    "A29": "file, gopher, ftp, data, blob → refused; an input's data URI is an upload",
    "A30": "user and password → refused",
    "A31": "another port than 443 → refused",
    "A32": "metadata addresses → refused",
    "A33": "loopback and 0.0.0.0 → refused",
    "A34": "decimal, octal, hex, short addresses → refused",
    "A35": "ideographic full stops → refused",
    "A36": "circled digits → refused",
    "A37": "IPv4 mapped into IPv6 → refused",
    "A38": "NAT64, 6to4, its relay, multicast → refused",
    "A39": "shared, benchmark and reserved networks → refused",
    "A40": "a name at a private address → not connected to",
    "A41": "a public and a private address → not connected to",
    "A42": "rebinding → resolved once, that address connected to",
    "A43": "a redirect to a metadata address → not followed",
    "A44": "a redirect loop → not followed",
    "A45": "backslash and #@ → refused",
    "A46": "trailing dot, homograph, long label, localhost, .internal → refused",
    "A47": "proxies in the environment → ignored",
    # Outputs during the copy to the bucket
    "A48": "compressed on the way → fails, undecoded",
    "A49": "shorter than announced, or no length → fails",
    "A50": "a slow drip → fails at the wall clock",
    "A51": "one byte above the cap → fails for good",
    "A52": "403, 404, 410 → retried for an hour, then expired",
    "A53": "HTML as image/png → never stored",
    "A54": "SVG → never stored",
    "A55": "a polyglot → stored under the sniffed type alone, as an attachment",
    "A56": "50,000 by 50,000 pixels → stored, never decoded",
    "A57": "junk in the metadata → the bytes pass unchanged, with their hash",
    "A58": "an output twice, or in another order → one object each, no reordering",
    # Our URLs, tenants, keys
    "A59": "a signed URL late or for something else → 403; it lives an hour",
    "A60": "a PUT by a client → impossible; an upload's form has size and type",
    "A61": "a signed URL of a deleted object → nothing; a revoked key gets no new one",
    "A62": "another tenant's on every verb → as an unknown one",
    "A63": "keys → looked up by their SHA-256, 256 random bits, with a prefix",
    "A64": "no, short, huge, odd, repeated credentials → 401",
    "A65": "a revoked key → 401 at the next request",
    "A66": "one path's authorisation used for another → cannot be: no authorizer",
    # Abuse
    "A67": "line breaks, ANSI, JSON in what is sent → one log record per event",
    "A68": "secrets, prompts, signed URLs, Authorization → in no log",
    "A69": "an Idempotency-Key of 256, none or Unicode → 400; for another body → 422; at once → "
    "the same prediction",
    "A70": "a budget drained → 429 with Retry-After, from our own bucket per tenant",
    "A71": "method overrides, unknown routes and methods → ignored, 404, 405",
    "A72": "a message that nobody of ours sent → no row touched",
}

NOT_APPLICABLE: dict[str, str] = {}
"""Cases that do not apply here, with the reason. They must have no tests."""

REPORTED: dict[str, tuple[str, str]] = {
    "adversarial-H1": (
        "tests/adapters/test_replicate.py::test_one_odd_item_costs_no_other",
        (
            "A page is read item by item, in shorter times where it is too large, and polls fall "
            "back to GET; giving up needs no readable list."
        ),
    ),
    "adversarial-H2": (
        "tests/unit/domain/test_evidence.py::test_a_difference_in_what_is_shown_is_no_evidence",
        (
            "What rules a listed prediction out is a closed list of reasons (domain/evidence.py); "
            "all else keeps the create unknown, and it is never repeated."
        ),
    ),
    "adversarial-H3": (
        "tests/unit/domain/test_lifecycle.py::test_a_success_without_a_file_is_asked_for_once_more",
        (
            "A success that shows no file is asked for once more by its id, then failed with "
            "`output_missing`."
        ),
    ),
    "adversarial-H4": (
        "tests/unit/services/test_persist_progress.py::test_twelve_files_of_45_seconds_each_are_stored_in_turn_and_fetched_once",
        ("Twelve files of 45 seconds are stored over six runs, each fetched once."),
    ),
    "adversarial-H5": (
        "tests/unit/services/test_sweep.py::test_one_tenants_crowd_does_not_come_before_anothers_only_one",
        (
            "The sweep reads a projection of what is due, claims first, and holds one record at a "
            "time; unpacking is bounded; `make scale` measures a tick's memory."
        ),
    ),
    "adversarial-H6": (
        "tests/bench/test_processor_time.py::test_a_hostile_upload_takes_little_time",
        (
            "A part's head is 4 kB at most and read by one bounded expression: a hostile 200 kB "
            "take a few milliseconds of processor time."
        ),
    ),
    "adversarial-H7": (
        "tests/unit/services/test_sweep.py::test_adversarial_h7_sweeps_share_what_is_due_by_the_seconds_of_its_creation",
        (
            "A page of the list serves all that it names, a tick takes up 2,000 records, and up to "
            "8 sweeps share what is due by the seconds of its creation, so that each page is read "
            "by one; docs/scale.md names it."
        ),
    ),
    "adversarial-H8": (
        "tests/unit/domain/test_lifecycle.py::test_one_404_ends_nothing_however_old_the_prediction_is",
        (
            "Only an hour of nothing but 404s since the last sign of life ends it, and a cancel "
            "is sent."
        ),
    ),
    "adversarial-H9": (
        "tests/unit/services/test_sweep.py::test_a_prediction_that_nobody_can_read_ends_by_its_last_clock",
        (
            "Every record ends by a clock of its own: deadline and the provider's hour; no number "
            "of the provider's raises."
        ),
    ),
    "adversarial-H10": (
        "tests/unit/services/test_sweep.py::test_the_list_is_judged_by_the_time_at_which_it_was_begun",
        ("Only the time at which the reading of the list began counts against the silence."),
    ),
    "adversarial-M1": (
        "tests/unit/services/test_unreadable.py::test_a_tick_goes_on_behind_a_record_that_it_cannot_read",
        (
            "A record that cannot be read is named and costs no other anything; unknown names are "
            "ignored at every depth, and a code that the last release does not know is written "
            "beside one that it knows."
        ),
    ),
    "adversarial-M2": (
        "tests/unit/services/test_isolation.py::test_a_bad_neighbour_delays_nobody",
        (
            "tasks have a queue of their own, messages carry their tenant, and a tenant's slow or "
            "failing endpoints have one consumer in five and are put off after failures in a row"
        ),
    ),
    "adversarial-M3": (
        "tests/unit/services/test_sweep.py::test_a_provider_that_is_silent_is_asked_little_and_holds_up_nobody",
        (
            "Callbacks come first in a tick; a provider that timed out three times in a row is "
            "asked no more in it."
        ),
    ),
    "adversarial-M4": (
        "tests/unit/services/test_repeats.py::test_a_repetition_finds_it_whatever_else_its_tenant_made_meanwhile",
        (
            "A row of equal requests is written in the insert's transaction; however many others "
            "were made meanwhile, the repetition finds it."
        ),
    ),
    "adversarial-M5": (
        "tests/adapters/test_wiring.py::test_no_log_level_puts_a_secret_or_a_prompt_into_a_log",
        ("Libraries speak from warnings on, whatever a stage's `log_level`."),
    ),
    "adversarial-M6": (
        "tests/unit/services/test_read.py::test_a_page_ends_before_it_is_too_large_and_the_next_goes_on",
        (
            "A page ends at 2.5 MB as Lambda hands it over, `next` goes on after the last one "
            "shown, and 25 records are in memory at a time."
        ),
    ),
    "adversarial-M7": (
        "tests/adapters/test_predictions.py::test_names_of_open_models_cannot_fill_a_day",
        (
            "A day names 50 models without a price and then `other`, the run times 200 models; a "
            "day that takes nothing more holds up no end."
        ),
    ),
    "adversarial-M8": (
        "tests/bench/test_processor_time.py::test_a_hostile_schema_takes_little_time",
        ("A check has 30,000 steps, then it is a 422 that says so."),
    ),
    "adversarial-M9": (
        "tests/unit/services/test_reuse.py::test_repetitions_under_one_key_leave_no_copy_behind",
        (
            "The key is looked up before anything is copied, and copies under one key have one "
            "place."
        ),
    ),
    "adversarial-M10": (
        "tests/adapters/test_unreadable.py::test_a_table_that_answers_nothing_is_given_up",
        (
            "What BatchGet leaves over is asked for again after a growing, jittered pause; after "
            "six answers with nothing it is a 503."
        ),
    ),
    "adversarial-M11": (
        "tests/unit/services/test_deliveries.py::test_a_storm_of_redeliveries_calls_a_few_times_a_minute",
        (
            "five attempts of a callback within a minute and five redeliveries a second of a "
            "tenant are the most, whatever its limits"
        ),
    ),
    "adversarial-L1": (
        "tests/unit/services/test_creates.py::test_a_create_that_can_never_succeed_fails_with_the_providers_words",
        (
            "Every 4xx but 401, 402, 403, 408, 409, 425, 429 ends the prediction at once, with "
            "the provider's text."
        ),
    ),
    "adversarial-L2": (
        "tests/unit/domain/test_money.py::test_what_ran_is_never_free",
        ("A run that was seen running costs by the times that are known, else the most."),
    ),
    "adversarial-L3": (
        "tests/unit/domain/test_lifecycle.py::test_a_time_of_the_providers_lies_within_the_predictions_life",
        ("`completed_at` is clamped to the prediction's own life."),
    ),
    "adversarial-L4": (
        "tests/unit/services/test_deliver.py::test_a_callback_whose_record_is_gone_is_closed",
        ("the callback of a record whose time is over is closed as `expired`"),
    ),
    "adversarial-L5": (
        "tests/unit/domain/test_callback.py::test_adversarial_l5_600_webhooks_of_logs_rewrite_a_large_record_20_times",
        (
            "Growth of the logs alone waits a millisecond for each 16 characters of the record, "
            "15 s at most; an end, a poll or anything more is written at once."
        ),
    ),
    "adversarial-L6": (
        "tests/ops/test_pages.py::test_adversarial_l6_no_secret_is_typed_on_a_command_line",
        ("README reads the token with `read -rs`; no page puts a secret on a command line."),
    ),
    "adversarial-L7": (
        "tests/infra/test_locks.py::test_adversarial_l7_the_cdk_command_is_installed_by_hash",
        (
            "`uv` is installed by the hashes of requirements.txt, the CDK command by `npm ci` "
            "from a lock with integrity and without addresses."
        ),
    ),
    "adversarial-L8": (
        "tests/unit/services/test_limits.py::test_the_turn_of_a_month_doubles_nothing",
        ("In the first two days of a month a create reads what still runs from the one before."),
    ),
    "field-F1": (
        "tests/e2e/test_created_once.py::test_without_the_webhook_in_the_list",
        (
            "Whatever the list shows of an input, a create whose answer and webhooks are lost is "
            "made once; it stays unknown until its webhook tells which run is its own."
        ),
    ),
    "field-F2": (
        "tests/e2e/test_created_once.py::test_without_the_webhook_in_the_list",
        (
            "The same where the list shows `hidden` or an internal name, official models asked "
            "for by `owner/name:version` included."
        ),
    ),
    "field-F3": (
        "tests/unit/services/test_sweep.py::test_a_status_that_nobody_documents_is_still_running",
        ("An unknown status is still running; the last clock ends it as `provider_lost`."),
    ),
    "field-F4": (
        "tests/unit/services/test_limits.py::test_only_money_that_is_spent_is_a_reason_to_pay",
        (
            "402 where what is spent leaves no room; where reservations are in the way, 429 with "
            "`retry_after`, and an event is put off."
        ),
    ),
    "field-F5": (
        "tests/unit/domain/test_money.py::test_what_an_end_costs",
        (
            "Without metrics the times that are known are charged; `predict_time` is kept where "
            "the rest is cut."
        ),
    ),
    "field-F7": (
        "tests/unit/services/test_reuse.py::test_f7_a_seed_that_may_mean_random_finds_no_result",
        ("0 is never drawn and finds no cached result; a negative seed is drawn anew everywhere."),
    ),
    "field-F10": (
        "tests/unit/handlers/test_outputs.py::test_a_picture_with_more_behind_its_end_mark_is_stored_whole",
        ("Bytes behind the end mark are stored with the picture."),
    ),
    "field-F11": (
        "tests/unit/handlers/test_outputs.py::test_what_is_of_a_type_that_is_never_stored_ends_at_once_and_says_so",
        (
            "An SVG, a PDF, an unknown binary: failed at once, output_refused, the type's name in "
            "the error."
        ),
    ),
    "field-F12": (
        "tests/unit/services/test_persist.py::test_f12_text_beside_a_file_stays_text",
        ("A schema's `uri`, else a delivery host's URL, is a file; all other text stays text."),
    ),
    "field-F13": (
        "tests/unit/domain/test_lifecycle.py::test_a_success_without_a_file_is_asked_for_once_more",
        ("As adversarial-H3, with one rule for the cost: the most."),
    ),
    "field-F14": (
        "tests/unit/services/test_repeats.py::test_what_we_refused_is_made_anew_and_no_sibling_is_shown",
        (
            "A refused first try is counted in the row, and its repetition makes a prediction of "
            "its own."
        ),
    ),
    "field-F15": (
        "tests/unit/services/test_creates.py::test_a_create_that_can_never_succeed_fails_with_the_providers_words",
        ("413 and its like are final; a 403 parks only where the token is refused elsewhere too."),
    ),
    "field-F16": (
        "tests/unit/domain/test_lifecycle.py::test_a_time_of_the_providers_lies_within_the_predictions_life",
        ("As adversarial-L3."),
    ),
    "field-F17": (
        "tests/adapters/test_unreadable.py::test_a_record_past_its_retention_is_gone_for_who_reads",
        (
            "Past `expires_at` a record, a callback's row, a key, a cached result and a provider "
            "id's owner count as gone, removed or not; the sweep still brings such a record to "
            "its end."
        ),
    ),
    "field-F18": (
        "tests/unit/services/test_prepare_input.py::test_f18_an_output_is_an_input_by_its_key",
        ("An output's URL, in each signer's form, refers to the stored object of its own tenant."),
    ),
    "field-F19": (
        "tests/unit/services/test_deliver.py::test_one_job_that_is_gone_silences_no_other",
        (
            "410 ends the attempts of one callback; three by one whole URL, none taken in "
            "between, disable that URL, which an event and a metric tell"
        ),
    ),
    "field-F20": (
        "tests/unit/services/test_creates.py::test_field_f20_a_cold_model_may_boot_for_twenty_minutes_and_run_for_twelve",
        (
            "Without a client's wish, or the model's, a prediction has a day, and no Cancel-After "
            "is sent; what is billed by the second is reserved for Replicate's longest run."
        ),
    ),
    "field-F21": (
        "tests/adapters/test_download.py::test_the_catalogues_largest_output_is_below_the_bound",
        ("208 MB are taken by default."),
    ),
    "field-F22": (
        "tests/unit/services/test_prepare_input.py::test_f22_the_path_of_an_uploads_url_ends_in_what_it_is",
        ("A record has its own copy of an upload, under a key that ends in the extension."),
    ),
    "field-F23": (
        "tests/unit/domain/test_inputs.py::test_f23_a_data_uri_decodes_as_for_urllib",
        ("Held against `urllib` itself; the provider gets them without white space."),
    ),
    "field-F24": (
        "tests/unit/domain/test_inputs.py::test_f24_what_the_schema_calls_text_is_text",
        ("Only a schema's `uri` is a file; where none speaks, only what is plainly one."),
    ),
    "field-F25": (
        "tests/unit/services/test_prepare_input.py::test_f23_f25_schemes_have_no_case_and_base64_may_have_line_breaks",
        ("Schemes and hosts have no case, in inputs, references, callbacks and outputs."),
    ),
    "field-F28": (
        "tests/unit/handlers/test_files.py::test_a_name_is_kept_as_far_as_metadata_may_hold_it",
        ("Names beyond ASCII are kept, `filename*` wins, and a cut keeps the extension."),
    ),
    "field-F32": (
        "tests/unit/handlers/test_outputs.py::test_the_size_of_a_picture_is_found_behind_long_metadata",
        ("Width and height are found behind 130 kB of metadata."),
    ),
    "aws-H1": (
        "tests/infra/test_callers.py::test_aws_h1_every_route_may_call_its_function",
        (
            "`$default` has a permission of its own form (`stage/$default`): unknown paths, HEAD "
            "and wrong methods reach Read and are 404 or 405."
        ),
    ),
    "aws-H2": (
        "tests/ops/test_deployment.py::test_aws_h2_the_region_is_the_one_that_cdk_takes",
        (
            "`ops` takes the region as the CDK command line does (AWS_REGION, AMAZON_REGION, "
            "AWS_DEFAULT_REGION, profile), and says how to choose one where there is none."
        ),
    ),
    "aws-H3": (
        "tests/unit/handlers/test_read.py::test_aws_h3_a_page_is_what_lambda_hands_on",
        (
            "A page ends at 2.5 MB of results, one record at least, and `next` goes on after the "
            "last one shown."
        ),
    ),
    "aws-M1": (
        "tests/ops/test_cdn_key.py::test_aws_m1_a_stage_that_was_taken_down_can_be_deployed_again",
        ("A CDN key whose secret was deleted is restored; the page deletes it without recovery."),
    ),
    "aws-M2": (
        "tests/adapters/test_imports.py::test_aws_m2_on_lambda_all_is_made_before_the_first_event",
        (
            "On Lambda, clients are made and secrets read during init. What is left of the first "
            "invocation's processor time is 4 to 6 % (`make bench ONLY=first`)."
        ),
    ),
    "aws-M3": (
        "tests/infra/test_cdn.py::test_aws_m3_no_two_keys_of_an_account_share_a_caller_reference",
        (
            "The reference holds region, place and letters of the key itself, within 128 "
            "characters; to be seen on a live account."
        ),
    ),
    "aws-M4": (
        "tests/infra/test_cdn.py::test_the_bucket_admits_this_accounts_distributions_to_read",
        ("`aws:SourceArn` alone, as AWS documents it; it holds the account."),
    ),
    "aws-M5": (
        "tests/ops/test_doctor.py::test_aws_m5_doctor_tells_of_an_account_that_is_too_small",
        (
            "`setup` and `doctor` read the account's concurrency: a warning below 1,000, a "
            "failure below 100 unless the stage says `small_account`, which reserves nothing and "
            "takes the fewest that AWS allows."
        ),
    ),
    "aws-M6": (
        "tests/infra/test_stateful.py::test_aws_m6_records_and_money_can_be_recovered",
        (
            "Controls has point-in-time recovery as Predictions; `ops restore` and "
            "docs/restoring.md say how to use it."
        ),
    ),
    "aws-M7": (
        "tests/infra/test_bundling.py::test_aws_m7_with_bytecode_it_is_another_asset",
        ("The asset's hash says whether it has bytecode."),
    ),
    "aws-M8": (
        "tests/ops/test_pages.py::test_what_the_pages_pass_to_cdk_arrives",
        (
            'deploy.md names `CDK_FLAGS="--require-approval never"`; `make diff` and `make '
            "destroy` are there too."
        ),
    ),
    "aws-L1": (
        "tests/infra/test_service.py::test_aws_l1_the_access_logs_name_takes_no_room_in_the_accounts_policy",
        ("The access log is in `/aws/vendedlogs/{stack}/access`."),
    ),
    "aws-L2": (
        "tests/infra/test_service.py::test_aws_l2_the_access_logs_class_can_be_changed",
        (
            "Infrequent Access stays the default; `infrequent_access_log=False` makes another "
            "group, under another name. To be seen on a live account."
        ),
    ),
    "aws-L3": (
        "tests/infra/test_stages.py::test_aws_l3_browsers_may_send_what_is_read_and_read_what_is_set",
        (
            "Allowed and exposed headers are those that the functions read and set; both buckets "
            "have CORS for the same origins."
        ),
    ),
    "aws-L4": (
        "tests/ops/test_pages.py::test_a_page_says_what_was_missed",
        ("The throttle is said to be of each route, in the setting, in scale.md and security.md."),
    ),
    "aws-L5": (
        "tests/bench/test_cost.py::test_aws_l5_a_month_counts_all_that_is_paid_without_use",
        (
            "`ops cost` counts each metric of an alarm, the CDN key's secret, our own metrics and "
            "the polls of queues."
        ),
    ),
    "aws-L6": (
        "tests/bench/test_cost.py::test_aws_l6_what_is_kept_is_kept_a_week_longer_than_its_record",
        (
            "`ops cost` has versions and recovery; cost.md names the CDN, 512 kB requests and "
            "reads of secrets."
        ),
    ),
    "aws-L7": (
        "tests/ops/test_usage.py::test_aws_l7_throttled_reads_are_not_asked_for_again_at_once",
        (
            "`ops usage` waits before it asks again where an answer brought nothing (the "
            "functions' own reads: see the adapters' suite)."
        ),
    ),
    "aws-L8": (
        "tests/ops/test_cdn_key.py::test_aws_l8_a_stage_without_a_cdn_gets_no_key",
        ("A stage with `cdn=False` gets no key, no secret and no parameter."),
    ),
    "aws-L9": (
        "tests/infra/test_service.py::test_aws_l9_apis_are_told_apart_by_their_stage",
        (
            "APIs are named by stage; deploy.md has the API's domain, GovCloud and the quotas, "
            "observability.md the memory in Lambda's own lines."
        ),
    ),
    "aws-L10": (
        "tests/ops/test_pages.py::test_a_page_says_what_was_missed",
        ("operations.md names CloudFront's quotas of keys and key groups."),
    ),
    "newcomer-bug-1": (
        "tests/e2e/test_local_command.py::test_newcomer_bug_1_a_kept_cloud_relays_at_once",
        ("The streams of a kept cloud are read from where they begin anew."),
    ),
    "newcomer-bug-2": (
        "tests/e2e/test_cloud.py::test_newcomer_bug_2_invocations_beyond_the_bound_lose_no_time",
        (
            "A function of the embedded cloud has at most four workers, calls wait at the front "
            "port, and time runs from the real start; at worst a 503 says when to come again."
        ),
    ),
    "newcomer-bug-4": (
        "tests/ops/test_deployment.py::test_aws_h2_the_first_step_of_a_deployment_makes_the_key_where_the_stacks_will_be",
        ("As aws-H2: the documented first deployment makes its key in AWS_REGION."),
    ),
    "newcomer-bug-5": (
        "tests/ops/test_cdn_key.py::test_newcomer_bug_5_a_typo_in_the_stage_makes_nothing",
        (
            "A stage that neither infra/config.py nor the account knows is refused before a key "
            "is made (`--new` for an app's own); the app says it in one line."
        ),
    ),
    "newcomer-bug-6": (
        "tests/ops/test_doctor.py::test_newcomer_bug_6_no_failure_is_overlooked",
        (
            "doctor, audit and redrive know the queues from the stacks' outputs; a test holds "
            "that each queue has one."
        ),
    ),
    "newcomer-bug-7": (
        "tests/ops/test_doctor.py::test_newcomer_bug_7_ops_trusts_the_embedded_clouds_own_authority",
        ("`ops --local` trusts the authority that the embedded cloud announces."),
    ),
    "newcomer-bug-8": (
        "tests/ops/test_redrive.py::test_newcomer_bug_8_what_is_refused_again_is_not_moved_again",
        ("redrive moves what was there at its start, by number and by SQS's own clock."),
    ),
    "newcomer-bug-9": (
        "tests/unit/services/test_limits.py::test_newcomer_bug_9_a_402_says_sums_that_do_not_fit",
        ("A 402 names the cap in full, to the millionth."),
    ),
    "newcomer-bug-10": (
        "tests/infra/test_stages.py::test_aws_l3_browsers_may_send_what_is_read_and_read_what_is_set",
        ("As aws-L3."),
    ),
    "newcomer-bug-12": (
        "tests/ops/test_pages.py::test_newcomer_bug_12_the_pages_commands_need_no_pythonpath",
        ("The bench's commands find the functions by themselves."),
    ),
    "newcomer-bug-14": (
        "tests/e2e/test_local_command.py::test_newcomer_bug_14_two_clouds_of_one_checkout",
        (
            "The first has .darkroom/local.json, one beside it .darkroom/local-PORT.json and a "
            "folder of its own; `ops --local` finds the first and names the others."
        ),
    ),
    "newcomer-friction-2": (
        "tests/unit/handlers/test_correlation.py::test_newcomer_friction_2_what_follows_names_it",
        (
            "`detail.id`, else the event's own id, is `request_id` in answers, events (Rejected "
            "too), callbacks and task output; `metadata`, `tags` and `end_user` come back as well."
        ),
    ),
    "newcomer-friction-7": (
        "tests/ops/test_pages.py::test_a_page_says_what_was_missed",
        ("README says in one line that no licence has been chosen."),
    ),
    "newcomer-friction-8": (
        "tests/ops/test_pages.py::test_a_page_says_what_was_missed",
        ("deploy.md has a section on browsers: API, upload forms, outputs."),
    ),
    "newcomer-friction-10": (
        "tests/infra/test_observability.py::test_newcomer_friction_10_every_alarm_links_to_what_to_do",
        (
            "Alarm texts link to the dashboard, which shows the runbook, or to a page of the "
            "stage's own; doctor warns of alarms that nobody is told of; deploy.md names "
            "`alarm_emails`."
        ),
    ),
    "newcomer-friction-11": (
        "tests/infra/test_events_in.py::test_newcomer_friction_11_what_no_rule_takes_is_counted",
        (
            "A rule of its own writes a line of each event that no rule takes to a log group, "
            "whose metric counts them; events.md says where to look."
        ),
    ),
    "newcomer-friction-12": (
        "tests/ops/test_tenants.py::test_newcomer_friction_12_a_name_that_nobody_has_is_refused",
        (
            "`limits set` and `callbacks rotate` refuse a tenant without key, limit or "
            "predictions, unless `--new`."
        ),
    ),
    "newcomer-friction-13": (
        "tests/ops/test_pages.py::test_newcomer_friction_13_make_and_ops_mean_the_same_stage",
        (
            "`make` and `ops` read STAGE, else dev; outside the environment one line says what to "
            "run; errors of region and credentials say how to give them."
        ),
    ),
    "field-F8": (
        "tests/unit/services/test_deliver.py::test_field_f8_who_asks_for_outputs_alone_gets_the_stored_files",
        (
            "A last `output` with the stored URLs for who asks for outputs and not for the end; "
            "with both, `completed` has them."
        ),
    ),
    "field-F6": (
        "tests/unit/domain/test_prices.py::test_field_f6_every_picture_of_a_series_is_reserved_and_charged",
        (
            "An entry names the input that counts its pictures, and beside which values of others "
            "it does: `max_images` of 15 in a series is reserved and charged as 15."
        ),
    ),
    "field-F9": (
        "tests/unit/handlers/test_submit.py::test_field_f9_an_empty_filter_is_none",
        ("As if absent: all four events."),
    ),
    "field-F26": (
        "tests/unit/handlers/test_read.py::test_field_f26_a_list_of_a_time_goes_on_within_it",
        (
            "Honoured, carried by `next` and `previous`; a time that is none and a name that a "
            "list does not have are a 400 that names it."
        ),
    ),
    "field-F27": (
        "tests/e2e/test_browsers.py::test_field_f27_a_page_of_the_origin_can_use_the_api",
        (
            "`user-agent`, `cancel-after` and all `x-stainless-*` may be sent, what the functions "
            "set is exposed; `make run ORIGINS=` tries a page, whose origin the buckets know too."
        ),
    ),
    "field-F29": (
        "tests/unit/handlers/test_submit.py::test_field_f29_the_older_name_of_a_webhook",
        ("`webhook` with the filter `completed`; ignored beside a `webhook`."),
    ),
    "field-F30": (
        "tests/unit/handlers/test_submit.py::test_field_f30_the_media_type_decides",
        ("The media type decides; only a charset that is not UTF-8 is refused."),
    ),
    "field-F31": (
        "tests/unit/api/test_http.py::test_field_f31_a_route_is_the_same_in_all_its_spellings",
        (
            "Taken, by a route with a variable for what is left: the gateway takes no route key "
            "that ends in a slash."
        ),
    ),
    "field-F33": (
        "tests/unit/handlers/test_read.py::test_field_f33_head_is_get_without_its_body",
        ("`Cache-Control: no-store` on every answer of the functions; HEAD wherever there is GET."),
    ),
    "oracles-F1": (
        "tests/unit/services/test_read.py::test_oracles_f1_a_list_is_of_what_is_asked_for",
        ("As field-F26; `source=web` has none."),
    ),
    "oracles-F2": (
        "tests/unit/handlers/test_files.py::test_oracles_f2_a_tenants_files_come_newest_first_in_pages",
        (
            "A file's id begins with the time that is left, so that the bucket's own order is "
            "newest first."
        ),
    ),
    "oracles-F3": (
        "tests/ops/test_pages.py::test_a_page_says_what_was_missed",
        ("compatibility.md names AI SDK 5 and 6, and a `fetch` that waits."),
    ),
    "oracles-F4": (
        "tests/unit/services/test_deliveries.py::test_oracles_f4_a_redelivery_that_meets_another_is_that_one",
        (
            "202 for the attempt that is about to be made; 429 with `Retry-After` where attempts "
            "are faster three times."
        ),
    ),
    "oracles-F5": (
        "tests/unit/handlers/test_files.py::test_oracles_f5_what_the_client_says_of_a_file_is_kept",
        (
            "Name of up to 255 bytes, declared type and metadata (1,000 bytes) are kept, from the "
            "form's own fields before the part's."
        ),
    ),
    "oracles-F6": (
        "tests/unit/replicate/test_wire.py::test_oracles_f6_a_time_is_left_out_until_it_is_known",
        ("Both are left out until they are known."),
    ),
    "oracles-F7": (
        "tests/unit/services/test_cancel.py::test_oracles_f7_a_running_prediction_is_cancelled_upstream_and_that_is_no_error",
        ("`error` is null after a cancel; a deadline keeps its text."),
    ),
    "oracles-F8": (
        "tests/unit/services/test_models.py::test_oracles_f8_models_are_listed_from_either_end",
        ("Checked; the direction turns the order, which is one of names as all times are equal."),
    ),
    "oracles-F9": (
        "tests/unit/services/test_read.py::test_oracles_f9_each_page_leads_back_to_the_one_before",
        (
            "`previous` on every later page of predictions and models. Of files it is null: their "
            "bucket is read forwards only."
        ),
    ),
    "oracles-N1": (
        "tests/ops/test_pages.py::test_a_page_says_what_was_missed",
        ("compatibility.md says it, and how to do without."),
    ),
    "field-F34": (
        "tests/e2e/test_progress.py::test_field_f34_logs_grow_while_somebody_polls",
        (
            "A GET of a running prediction asks dispatch for a look at the provider, at most every "
            "5 s; all looks share 300 calls a minute. No webhook is needed for progress."
        ),
    ),
    "newcomer-bug-3": (
        "tests/e2e/test_progress.py::test_field_f34_logs_grow_while_somebody_polls",
        ("As field-F34."),
    ),
    "newcomer-bug-11": (
        "tests/unit/domain/test_catalog.py::test_newcomer_bug_11_a_model_that_is_added_makes_no_test_fail",
        (
            "No test has a list of the models; a copy of the package with one more passes all "
            "of theirs."
        ),
    ),
    "newcomer-bug-13": (
        "tests/ops/test_pages.py::test_newcomer_bug_13_pages_and_changelog_name_the_version_that_is_built",
        (
            "The version is written in pyproject.toml alone, 0.2.0, with a section of the "
            "changelog; the upgrade names `make wheel` and `pip install --upgrade`."
        ),
    ),
    "newcomer-bug-15": (
        "tests/emulator/test_pictures.py::test_newcomer_bug_15_a_picture_that_is_too_large_is_called_so",
        (
            "Captions are drawn with their accents, too many pixels are called so, "
            "`urls.web` and EXIF are spoken of, counts in pages are held by tests."
        ),
    ),
    "newcomer-friction-1": (
        "tests/unit/api/test_newcomers.py::test_newcomer_friction_1_a_model_that_is_not_there_names_the_catalogue",
        (
            "The 422 names GET /v1/models, docs/models.md and `python -m ops models add`, which "
            "writes a catalogue file from Replicate's description."
        ),
    ),
    "newcomer-friction-3": (
        "tests/e2e/test_guides.py::test_newcomer_friction_3_guide_a_lambda_asks_and_another_takes_the_result",
        ("docs/guides/lambda-without-waiting.md, whose two functions the test runs."),
    ),
    "newcomer-friction-4": (
        "tests/unit/api/test_newcomers.py::test_newcomer_friction_4_a_callback_to_this_machine_names_the_switch",
        (
            "The embedded cloud's 422 names the switch, callbacks.md begins with it, and "
            "`localhost` works."
        ),
    ),
    "newcomer-friction-5": (
        "tests/browser/test_first_picture.py::test_newcomer_friction_5_the_first_picture",
        ("The door `console` is a web console, whose address `make run` prints: docs/console.md."),
    ),
    "newcomer-friction-6": (
        "tests/infra/test_settings_page.py::test_newcomer_friction_6_stages_of_ones_own_come_first",
        (
            "Stages of one's own are in `stages.py`, which no version brings; "
            "docs/settings.md has every setting with its default."
        ),
    ),
    "newcomer-friction-9": (
        "tests/e2e/test_secure.py::test_newcomer_friction_9_the_bundle_trusts_the_public_authorities_too",
        ("`make run TLS=1` writes and names a bundle that has the public authorities too."),
    ),
    "newcomer-friction-14": (
        "tests/infra/test_settings_page.py::test_newcomer_friction_14_every_variable_is_on_the_page",
        (
            "docs/settings.md has every variable that make, local and ops read; a test says "
            "when one is missing."
        ),
    ),
    "newcomer-friction-15": (
        "tests/ops/test_pages.py::test_a_page_says_what_was_missed",
        ("callbacks.md says that there is no order, and what a progress bar does about it."),
    ),
    "newcomer-friction-16": (
        "tests/unit/api/test_newcomers.py::test_newcomer_friction_16_a_base_url_without_v1_is_told_so",
        (
            "The 404 says that the API is under /v1; the example prints where its templates "
            "are; `make run` says that KEEP=1 keeps the token."
        ),
    ),
}
"""Reported problems: the test that covers each, and the current answer."""

OPEN: dict[str, str] = {}
"""Open cases, with the reason."""
