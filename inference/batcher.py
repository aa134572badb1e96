"""The one decision of the scheduler: what runs next, what is shed, when to look again.

While everything that waits can be met at full effort, the work with the least slack leads the batch
(earliest deadline first, which is optimal then). Once that is impossible the same rule would serve
every event a little too late, in tiny batches. So then, in this order:

1. works that allow it get the highest effort at which all can be met; where it is enough that
   works of low priority give way, only those do (``inference.apart``);
2. where no effort is low enough, high priorities that fit by themselves keep full effort, if all
   others may be degraded, and take turns with them; else works too tight for a batch of good
   throughput are passed over, and the rest share the device by the weights of their priorities;
   what cannot be met any more is shed as soon as that is certain.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inference.apart import plan_apart, plan_guarded, plan_rigid
from inference.cost import Coefficients, CostModel
from inference.engine import EffortLevel
from inference.outlook import GOOD_RATE, Outlook
from inference.plan import Plan, plan_all
from inference.queue import DeadlineQueue, Entry, Line
from inference.rules import Rule
from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy

EXPIRY_TICK_S = 0.005
"""Shedding behind a busy device is looked after this often at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Works to run together.

    Attributes:
        effort: The rung for all of them.
        degraded: The rung is below full.
        reason: Why it is below full; ``None`` otherwise.
        tokens: Sum over the works.
        expected_s: Typical run time in seconds.
        late: Some of the works are late whatever is done.
        rule: Why it holds these works.
    """

    entries: tuple[Entry, ...]
    effort: EffortLevel
    degraded: bool
    reason: str | None
    tokens: int
    expected_s: float
    late: bool
    rule: Rule = Rule.OTHER


@dataclass(frozen=True, slots=True, eq=False)
class Shed:
    """A work that nothing allowed can finish in time.

    Attributes:
        reason: For people; says by how much it falls short.
    """

    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What to do now.

    Attributes:
        batch: Goes to the device; decide again afterwards.
        shed: To be completed without running.
        wake_at: Monotonic seconds at which to decide again if nothing happens before;
            ``None`` when only an arrival or the end of a batch can change anything.
    """

    batch: Batch | None = None
    shed: tuple[Shed, ...] = ()
    wake_at: float | None = None


class MicroBatcher:
    """Decides over a queue without changing it; holds no state of its own."""

    def __init__(self, settings: SchedulerSettings, efforts: Sequence[EffortLevel]) -> None:
        self._settings = settings
        self._efforts = tuple(efforts)
        self._reserve = settings.publish_reserve_ms / 1e3
        self._lead = settings.prepare_lead_ms / 1e3
        self._ageing = settings.ageing_ms / 1e3

    def decide(
        self,
        queue: DeadlineQueue,
        now: float,
        cost: CostModel,
        device_free_at: float,
        *,
        curious: bool = False,
    ) -> Decision:
        """Decide what happens at ``now``.

        Args:
            queue: What waits; not changed.
            now: Monotonic seconds.
            cost: What batches cost at each effort.
            device_free_at: When the device is expected to take a batch; the past if it is idle,
                infinity if a batch is waiting for it already.
            curious: No cost was observed for long, so run one work even if it seems hopeless:
                an estimate that sheds everything would otherwise never be corrected.
        """
        if not queue:
            return Decision()
        costs = [cost.coefficients(effort.name) for effort in self._efforts]
        if now < device_free_at - self._lead:
            return self._while_busy(queue, now, costs, device_free_at)
        start = max(now, device_free_at)
        everything = plan_all(queue, start, costs[0], self._settings)
        if everything is not None:
            return Decision(self._batch(everything.by(Rule.ALL), None, cost))
        outlook = Outlook(queue, start, costs, self._settings)
        hopeless, tight = self._sort_out(outlook)
        plan, reason = self._choose(queue, outlook, tight)
        if not plan.entries and len(hopeless) < len(queue):
            plan, reason = self._misjudged(outlook, _front(queue, hopeless))
            plan.by(Rule.LEADS)
        elif not plan.entries and curious:
            probe = max(hopeless, key=lambda shed: shed.entry.key)
            hopeless.remove(probe)
            plan, reason = self._probe(outlook, probe)
            plan.by(Rule.CURIOUS)
        return Decision(self._batch(plan, reason, cost), tuple(hopeless))

    def _while_busy(
        self,
        queue: DeadlineQueue,
        now: float,
        costs: Sequence[Coefficients],
        device_free_at: float,
    ) -> Decision:
        """Shed what has become hopeless, nearly always nothing, and say when to look again."""
        hopeless: list[Shed] = []
        expiry = math.inf
        inheriting = 0
        for line in queue.lines:
            inheriting += line.inheriting
            expiry = min(expiry, self._hopeless_at(line, costs))
        if inheriting or expiry < now:
            hopeless, _ = self._sort_out(Outlook(queue, now, costs, self._settings))
        wake_at = min(device_free_at - self._lead, max(expiry, now + EXPIRY_TICK_S))
        return Decision(None, tuple(hopeless), wake_at if wake_at < math.inf else None)

    def _sort_out(self, outlook: Outlook) -> tuple[list[Shed], list[tuple[int, Entry]]]:
        """Part the works that full effort may not save into hopeless ones and those in need.

        Those in need come with the index of the highest effort that is still in time.
        """
        hopeless: list[Shed] = []
        tight: list[tuple[int, Entry]] = []
        for entry in outlook.doubtful():
            work = entry.work
            left = work.deadline - self._reserve - outlook.start
            costs = (
                outlook.costs if work.on_overload is OverloadPolicy.DEGRADE else outlook.costs[:1]
            )
            needed = math.inf
            for level, curve in enumerate(costs):
                needed = curve.seconds(work.tokens, 1)
                if needed <= left:
                    tight.append((level, entry))
                    break
            else:
                effort = self._efforts[len(costs) - 1].name
                hopeless.append(Shed(entry, _why_shed(needed, left, effort)))
        tight.sort(key=lambda pair: pair[1])
        return hopeless, tight

    def _choose(
        self, queue: DeadlineQueue, outlook: Outlook, tight: list[tuple[int, Entry]]
    ) -> tuple[Plan, str | None]:
        """Return the batch to run, empty if there is nothing to run, and why it is degraded."""
        late = outlook.late()
        if late and outlook.start - max(queue.late_served_at, late[0].key) > self._ageing:
            return outlook.plan(0).fill(late, late=True).by(Rule.AGED), None
        rescue = self._rescue(outlook, tight) if tight else None
        full = outlook.tight(0)
        if rescue is not None and (not full.entries or self._leaves_all_met(outlook, rescue)):
            why = _why_rescued(outlook, tight[0][1], self._reserve)
            return rescue.by(Rule.RESCUED), why if rescue.level else None
        # Works of several kinds may need batches of their own; that must be seen a batch ahead.
        delay_s = outlook.batch_seconds(0) if len(outlook.lines) > 1 else 0.0
        if full.entries and not self._leaves_all_met(outlook, full, delay_s=delay_s):
            return self._choose_overloaded(outlook, full)
        return full.fill(late, late=True), None

    def _rescue(self, outlook: Outlook, tight: list[tuple[int, Entry]]) -> Plan:
        """Plan for works in need, at the highest effort that leaves all met, or saves most."""
        highest = tight[0][0]
        best = None
        for level in range(highest, len(self._efforts) if highest else 1):
            in_need = (entry for needs, entry in tight if needs or not level)
            plan = outlook.plan(level).fill(in_need)
            if self._leaves_all_met(outlook, plan):
                return plan
            if best is None or plan.tokens > best.tokens:
                best = plan
        assert best is not None  # noqa: S101 - for the type checker
        return best

    def _choose_overloaded(self, outlook: Outlook, full: Plan) -> tuple[Plan, str | None]:
        """Not all can be met at full effort: lower it, then part with what is too tight."""
        lost = sum(outlook.losses(full))
        plan = plan_apart(outlook, len(self._efforts)) if len(outlook.lines) > 1 else None
        if plan is not None:
            plan.by(Rule.APART)
        else:
            plan, meets_all = self._lower(outlook, full)
            if meets_all:
                plan.by(Rule.LOWERED)
            else:
                several = len(outlook.lines) > 1
                guarded = plan_guarded(outlook, len(self._efforts)) if several else None
                plan = (guarded or self._part(outlook, plan)).by(
                    Rule.APART if guarded else Rule.PARTED
                )
        if not plan.level:
            return plan, None
        return plan, f"full effort for all would leave {lost:.0f} waiting tokens too late"

    def _lower(self, outlook: Outlook, full: Plan) -> tuple[Plan, bool]:
        """Return the batch at the highest effort that leaves all met, or at the lowest if none."""
        best = full
        leader = outlook.leader()
        if leader is None or leader.policy is not OverloadPolicy.DEGRADE:
            return best, False
        for level in range(1, len(self._efforts)):
            lower = outlook.tight(level)
            if lower.entries and outlook.helps(level, best.level):
                best = lower
                if self._leaves_all_met(outlook, best):
                    return best, True
        return best, False

    def _part(self, outlook: Outlook, best: Plan) -> Plan:
        """No effort meets all: return the batch that loses the least, by weight where it can be."""
        if not best.level and len(outlook.lines) > 1:
            rigid = plan_rigid(outlook, len(self._efforts))
            if rigid is not None:
                return rigid
        wide = outlook.wide(best.level)
        if outlook.is_saturated_after(best):
            # No order meets all, so the weights decide, unless that costs throughput.
            return wide if wide.rate >= GOOD_RATE * best.rate else best
        saved = outlook.losses(best).now - outlook.losses(wide).now
        return wide if wide.entries and saved > outlook.mean_tokens else best

    def _leaves_all_met(self, outlook: Outlook, plan: Plan, *, delay_s: float = 0.0) -> bool:
        """Say whether what waits behind a plan can be met; one mean work is within the estimate."""
        if not plan.entries:
            return False
        return max(outlook.losses(plan, delay_s=delay_s)) <= outlook.mean_tokens

    def _misjudged(self, outlook: Outlook, entry: Entry) -> tuple[Plan, str | None]:
        """Run a work that is too tight though its key, computed at older costs, says otherwise.

        A free device waits for nothing, not even for new keys.
        """
        degrades = entry.work.on_overload is OverloadPolicy.DEGRADE
        for level in range(1, len(self._efforts) if degrades else 1):
            plan = outlook.plan(level).fill([entry])
            if plan.entries:
                return plan, _why_rescued(outlook, entry, self._reserve)
        return outlook.plan(0).fill([entry], late=True), None

    def _probe(self, outlook: Outlook, hopeless: Shed) -> tuple[Plan, str | None]:
        degrades = hopeless.entry.work.on_overload is OverloadPolicy.DEGRADE
        plan = outlook.plan(len(self._efforts) - 1 if degrades else 0)
        return plan.fill([hopeless.entry], late=True), hopeless.reason if plan.level else None

    def _batch(self, plan: Plan, reason: str | None, cost: CostModel) -> Batch | None:
        if not plan.entries:
            return None
        effort = self._efforts[plan.level]
        return Batch(
            entries=tuple(plan.entries),
            effort=effort,
            degraded=plan.level > 0,
            reason=reason,
            tokens=plan.tokens,
            expected_s=cost.expect(plan.tokens, len(plan.entries), effort.name),
            late=plan.late,
            rule=plan.rule,
        )

    def _hopeless_at(self, line: Line, costs: Sequence[Coefficients]) -> float:
        """Return when the first work of a line becomes hopeless; never, if it is run late."""
        if line.policy is OverloadPolicy.LATE:
            return math.inf
        work = line.entries[0].work
        tokens = work.encoded.tokens
        needed_s = costs[0].seconds(tokens, 1)
        if line.policy is OverloadPolicy.DEGRADE:
            for cost in costs:
                needed_s = min(needed_s, cost.seconds(tokens, 1))
        return work.deadline - self._reserve - needed_s


def _front(queue: DeadlineQueue, hopeless: Sequence[Shed]) -> Entry:
    """Return the work with the least slack that is not hopeless."""
    passed = {shed.entry.sequence for shed in hopeless}
    fronts = (
        next((entry for entry in line.entries if entry.sequence not in passed), None)
        for line in queue.lines
    )
    return min(entry for entry in fronts if entry is not None)


def _why_shed(needed_s: float, left_s: float, effort: str) -> str:
    return (
        f"would miss its deadline by {(needed_s - left_s) * 1e3:.1f} ms: effort {effort} needs "
        f"{needed_s * 1e3:.1f} ms, {max(0.0, left_s) * 1e3:.1f} ms are left"
    )


def _why_rescued(outlook: Outlook, entry: Entry, reserve_s: float) -> str:
    finish = outlook.start + outlook.costs[0].seconds(entry.work.tokens, 1)
    over = finish + reserve_s - entry.work.deadline
    return f"full effort would miss the deadline by {over * 1e3:.1f} ms"
