"""A dashboard for an operator's first questions, and alarms that link to their runbook entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions

from ..flags import DarkroomStack
from ..nag import acknowledge
from ..runbook import entries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_dynamodb as dynamodb
    from aws_cdk import aws_sqs as sqs
    from constructs import Construct
    from darkroom.runtime.function import Function

    from ..config import StageConfig
    from .cdn import CdnStack
    from .service import ServiceStack
    from .stateful import StatefulStack

NAMESPACE = "Darkroom"
SUM, MOST = "Sum", "Maximum"
MICRO_USD = 1_000_000


INDEXES = (("Predictions", "tenant"), ("Predictions", "due"), ("Deliveries", "due"))
FIVE, DAY = Duration.minutes(5), Duration.days(1)


class ObservabilityStack(DarkroomStack):
    """Holds no state, and no other stack uses it. It may be deleted and created again at any
    time."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: StageConfig,
        stateful: StatefulStack,
        service: ServiceStack,
        cdn: CdnStack | None,
        env: cdk.Environment | None = None,
    ) -> None:
        super().__init__(scope, id_, env=env, description="Darkroom: dashboard and alarms")
        self._config = config
        self._service = service
        self._declared = config.functions()
        self._functions = service.functions | (cdn.functions if cdn else {})
        # The name is set here because the alarms link to the dashboard, which shows the alarms.
        # Dashboard names are shared by all regions of an account.
        self._dashboard = f"Darkroom-{config.name}-{cdk.Aws.REGION}"
        self._tables: Mapping[str, dynamodb.Table] = {
            "Predictions": stateful.predictions,
            "Controls": stateful.controls,
            "Deliveries": stateful.deliveries,
        }
        self._dlqs: Mapping[str, sqs.Queue] = {
            **{name: tasks.dlq for name, tasks in service.queues.items()},
            **service.failures,
        }
        self.topic = self._make_topic()
        """Notified when an alarm starts and when it ends."""
        self.alarms: dict[str, cloudwatch.Alarm] = {}
        self._watch_ours()
        self._watch_queues()
        self._watch_aws()
        self._watch_spending()
        self._make_dashboard()
        cdk.CfnOutput(self, "AlarmTopic", value=self.topic.topic_arn)

    def _make_topic(self) -> sns.Topic:
        topic = sns.Topic(self, "Alarms", display_name=f"Darkroom {self._config.name}")
        # The default policy, which allows the account's alarms, is replaced by any explicit one.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="TlsOnly",
                effect=iam.Effect.DENY,
                principals=[iam.StarPrincipal()],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"Bool": {"aws:SecureTransport": "false"}},
            )
        )
        for address in self._config.alarm_emails:
            topic.add_subscription(subscriptions.EmailSubscription(address))
        acknowledge(
            topic,
            {
                "Serverless-SNSRedrivePolicy": "E-mail only; what an alarm says is seen in "
                "CloudWatch as well.",
            },
        )
        return topic

    # Alarms

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        says: str,
        *,
        below: bool = False,
    ) -> None:
        operators = cloudwatch.ComparisonOperator
        missing = cloudwatch.TreatMissingData
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=operators.LESS_THAN_THRESHOLD
            if below
            else operators.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=missing.BREACHING if below else missing.NOT_BREACHING,
            alarm_description=f"{says} {self._entry(name)}",
        )
        action = actions.SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
        self.alarms[name] = alarm

    def _entry(self, name: str) -> str:
        """Return the link to the alarm's runbook entry."""
        anchor = f"#{name.lower()}"
        if self._config.runbook_url:
            return f"{self._config.runbook_url}{anchor}"
        region = cdk.Aws.REGION
        return (
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#dashboards/dashboard/{self._dashboard} shows what to do, as docs/runbook.md{anchor}"
        )

    def _watch_ours(self) -> None:
        for function in self._declared.values():
            for alarm in function.alarms:
                metric = self._ours(alarm.metric, SUM if alarm.sums else MOST)
                self._alarm(alarm.name, metric, alarm.threshold, alarm.says, below=alarm.below)

    def _watch_queues(self) -> None:
        for name, queue in self._dlqs.items():
            self._alarm(
                f"{name}DeadLetters",
                queue.metric_approximate_number_of_messages_visible(statistic=MOST, period=FIVE),
                1,
                f"A message of {name.lower()} is in its dead-letter queue.",
            )

    def _watch_aws(self) -> None:
        functions = {name: f.function for name, f in self._functions.items()}
        api = self._service.api.api
        self._alarm(
            "ServerErrors",
            api.metric_server_error(statistic=SUM, period=FIVE),
            5,
            "The API answers 5xx, to clients or to Replicate's webhooks.",
        )
        for name, members in _throttled_together(self._declared).items():
            throttles = {n: functions[n].metric_throttles(period=FIVE) for n in members}
            says = f"Lambda holds back {', '.join(members)}."
            self._alarm(name, _total(throttles), 10, says)
        self._alarm("TablesThrottled", _total(self._table_throttles()), 10, "DynamoDB throttles.")
        self._alarm(
            "SweepFails",
            functions["Sweep"].metric_errors(statistic=SUM, period=FIVE),
            3,
            "The sweep's ticks end in errors.",
        )
        self._alarm(
            "RelayLags",
            self._relay_age(),
            120_000,
            "Changes wait for more than 2 minutes for what they cause.",
        )

    def _watch_spending(self) -> None:
        budget = self._config.monthly_budget_usd
        if budget is not None:
            self._alarm(
                "SpendingFast",
                self._ours("CostMicroUsd", SUM, 24 * 60),
                budget * MICRO_USD // 30,
                f"More than a thirtieth of the month's {budget} USD was spent in a day.",
            )

    # Metrics

    def _ours(self, name: str, statistic: str = SUM, minutes: int = 5) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"service": self._config.service_name},
            statistic=statistic,
            period=Duration.minutes(minutes),
        )

    def _relay_age(self) -> cloudwatch.Metric:
        relay = self._service.functions["Relay"].function
        return relay.metric("IteratorAge", statistic=MOST, period=FIVE)

    def _table_throttles(self) -> dict[str, cloudwatch.Metric]:
        options: dict[str, Any] = {"statistic": SUM, "period": FIVE}
        found = {
            f"{name}{kind}": table.metric(f"{kind}ThrottleEvents", **options)
            for name, table in self._tables.items()
            for kind in ("Read", "Write")
        }
        for name, index in INDEXES:
            table = self._tables[name]
            dimensions = {"TableName": table.table_name, "GlobalSecondaryIndexName": index}
            found[f"{name}{index.title()}"] = table.metric(
                "WriteThrottleEvents", dimensions_map=dimensions, **options
            )
        return found

    # Dashboard

    def _make_dashboard(self) -> None:
        dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=self._dashboard,
            default_interval=Duration.hours(12),
        )
        alarms = list(self.alarms.values())
        dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Alarms", alarms=alarms, width=24, height=4)
        )
        for question, widgets in (
            ("Are we accepting?", self._accepting()),
            ("Are webhooks arriving?", self._webhooks()),
            ("How far behind is storing?", self._storing()),
            ("What did it cost?", self._cost()),
        ):
            heading = cloudwatch.TextWidget(markdown=f"## {question}", width=24, height=1)
            dashboard.add_widgets(heading)
            dashboard.add_widgets(*widgets)
        self._show_runbook(dashboard)
        cdk.CfnOutput(self, "DashboardName", value=dashboard.dashboard_name)

    def _show_runbook(self, dashboard: cloudwatch.Dashboard) -> None:
        begins, texts = entries()
        first = f"# What to do\n{begins}"
        dashboard.add_widgets(cloudwatch.TextWidget(markdown=first, width=24, height=6))
        shown = [f"## {name}\n{texts[name]}" for name in sorted(self.alarms)]
        for pair in zip(shown[::2], [*shown[1::2], ""], strict=False):
            dashboard.add_widgets(
                *(cloudwatch.TextWidget(markdown=t, width=12, height=9) for t in pair if t)
            )

    def _accepting(self) -> list[cloudwatch.IWidget]:
        api, submit = self._service.api.api, self._service.functions["Submit"].function
        refused = self._many("Refused4xx", "Refused402", "Refused429", "Refused5xx")
        refused.append(api.metric_client_error(statistic=SUM, label="API 4xx, all routes"))
        refused.append(api.metric_server_error(statistic=SUM, label="API 5xx, all routes"))
        # Failures of optional parts, each of which has an alarm.
        doors = [function for function in self._declared.values() if function.door]
        refused += self._many(*(alarm.metric for door in doors for alarm in door.alarms))
        unmatched = cloudwatch.Metric(
            namespace="AWS/Logs",
            metric_name="IncomingLogEvents",
            dimensions_map={"LogGroupName": self._service.unmatched},
            statistic=SUM,
            period=FIVE,
            label="Events that no rule takes",
        )
        creates = self._many("CreateUnbound", "CreateRepeated", "CreateParked", "DoubleCreate")
        latency = submit.metric_duration(statistic="p99", label="submit p99, ms")
        accepted = self._many("Accepted", "Reused", "Replayed", "RequestAccepted")
        return [
            _graph("Accepted", accepted, [api.metric_count(label="API requests")]),
            _graph("Refused", refused, [unmatched]),
            _graph("Creates", creates, [latency]),
        ]

    def _webhooks(self) -> list[cloudwatch.IWidget]:
        # Lambda's invocation count costs nothing. Webhooks received are invocations minus refusals.
        webhook = self._service.functions["Webhook"].function
        came = webhook.metric_invocations(label="Came, refused ones too")
        return [
            _graph("Came", [came, *self._many("WebhookMisdirected")]),
            _graph("Refused", self._many("WebhookRefused", "SignatureFailed")),
            _graph(
                "Polls, for those that did not come; what could not be read",
                self._many("SweptPoll", "Ticks", "ListUnreadable", "RecordUnreadable"),
            ),
        ]

    def _storing(self) -> list[cloudwatch.IWidget]:
        times = [self._ours("StoringTime", p) for p in ("p50", "p99")]
        ages = [self._ours("StoringAge", MOST), self._ours("OldestDue", MOST)]
        waiting = [
            tasks.queue.metric_approximate_age_of_oldest_message(label=name)
            for name, tasks in self._service.queues.items()
        ]
        dead = [
            queue.metric_approximate_number_of_messages_visible(label=name)
            for name, queue in self._dlqs.items()
        ]
        callbacks = self._many("CallbackNotDelivered", "CallbackPutOff", "CallbackDisabled")
        return [
            _graph("From Replicate's end to ours, seconds", [*times, *ages]),
            _graph("Waiting messages, seconds", [*waiting], [self._relay_age()]),
            _graph("Dead letters; callbacks", [*dead], callbacks),
        ]

    def _cost(self) -> list[cloudwatch.IWidget]:
        last_day = cloudwatch.SingleValueWidget(
            title="USD at Replicate, last day", metrics=[self._spent(DAY)], width=8, height=6
        )
        ended = ("EndedSucceeded", "EndedFailed", "EndedCanceled", "EndedAborted")
        return [
            _graph("USD at Replicate, by hour", [self._spent(Duration.hours(1))]),
            last_day,
            _graph("Ended", self._many(*ended, "ProviderLost"), self._many("CostAboveMost")),
        ]

    def _many(self, *names: str) -> list[cloudwatch.IMetric]:
        return [self._ours(name) for name in names]

    def _spent(self, period: Duration) -> cloudwatch.MathExpression:
        cost = self._ours("CostMicroUsd", SUM, int(period.to_minutes()))
        return cloudwatch.MathExpression(
            expression=f"cost / {MICRO_USD}",
            using_metrics={"cost": cost},
            period=period,
            label="USD",
        )


def _throttled_together(declared: Mapping[str, Function[Any, Any]]) -> dict[str, list[str]]:
    """Group functions whose throttles share an alarm, by the alarm's name. A door with its own
    reserve gets its own alarm, since its throttling tells nothing about the others."""
    found: dict[str, list[str]] = {"RequestsThrottled": [], "WorkThrottled": []}
    for name, function in declared.items():
        alarm = "RequestsThrottled" if function.routes else "WorkThrottled"
        if function.door and function.reserve:
            alarm = f"{name}Throttled"
        found.setdefault(alarm, []).append(name)
    return found


def _total(metrics: Mapping[str, cloudwatch.IMetric]) -> cloudwatch.MathExpression:
    """Return the sum of the metrics, at most ten as an alarm allows. A metric without data counts
    as 0."""
    names = {name[0].lower() + name[1:]: metric for name, metric in metrics.items()}
    filled = [f"FILL({name}, 0)" for name in names]
    return cloudwatch.MathExpression(
        expression=" + ".join(filled), using_metrics=names, period=FIVE
    )


def _graph(
    title: str, left: list[cloudwatch.IMetric], right: list[cloudwatch.IMetric] | None = None
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=left, right=right or [], width=8, height=6)
