# SPDX-License-Identifier: Apache-2.0
"""What the measurements say: tables, targets, and the comparison with the committed figures."""

import json

# A figure may be this much worse than the committed one before it is a regression; more where the host's kernel, the
# compiler or a peer is not the one the figures were made with.
TOLERANCE = 0.02
TOLERANCE_OTHER_CONDITIONS = 0.05
# Below these a change is noise: one timer tick more or less, or, for "mi", half of one waited for.
SLACK = {"mi": 2.0, "busy_mi": 0.15, "exits": 4, "user_exits": 2, "private_kib": 16}


class Target:
    """A promise: value(result) must be at most limit. value raises KeyError where the case was not measured."""

    def __init__(self, name, text, limit, value):
        self.name = name
        self.text = text
        self.limit = limit
        self.value = value


def mi(result, case):
    return result["cases"][case]["mi"]["mean"]


TARGETS = (
    Target("boot-vs-qemu", "boot / QEMU microvm", 0.45, lambda r: mi(r, "boot") / mi(r, "qemu-boot")),
    Target("run-vs-runc", "mvrun run true / runc", 1.05, lambda r: mi(r, "run-true") / mi(r, "runc-true")),
    Target("run-vs-crun", "mvrun run true / crun", 3.0, lambda r: mi(r, "run-true") / mi(r, "crun-true")),
    Target("boot-exits", "VM exits until init", 600, lambda r: r["cases"]["boot"]["exits"]),
    Target("boot-user-exits", "exits to user space until init", 100, lambda r: r["cases"]["boot"]["user_exits"]),
    Target("memory", "private memory of the VMM, KiB", 2048, lambda r: r["memory"]["private_kib"]),
    Target("gib-more", "1 GiB more RAM, Mi", 5.0, lambda r: mi(r, "boot-1g-more") - mi(r, "boot")),
)


def targets_of(result):
    """[(target, value or None, reached)]"""
    rows = []
    for target in TARGETS:
        try:
            value = target.value(result)
        except KeyError:
            rows.append((target, None, False))
            continue
        rows.append((target, value, value <= target.limit))
    return rows


# ---- tables ----------------------------------------------------------------------------------------------------------


def table(rows):
    """Rows of words as aligned lines; the first two columns to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())


def print_cases(result):
    unit = "Mi" if result["mode"] == "icount" else "ms"
    rows = [("case", "", unit, "spread", "busy", "VM exits", "to user", "max RSS")]
    for name, case in result["cases"].items():
        if "failed" in case:
            rows.append((name, case["text"], "failed", "", "", "", "", ""))
            continue
        spread = (case["mi"]["max"] - case["mi"]["min"]) / case["mi"]["mean"]
        rows.append((
            name, case["text"], "%.2f" % case["mi"]["mean"], "%.2f %%" % (100 * spread),
            "%.2f" % case["busy_mi"]["mean"], str(case.get("exits", "")), str(case.get("user_exits", "")),
            "%.1f MB" % (case["rss_kib"] / 1024),
        ))
    table(rows)
    for name, case in result["cases"].items():
        if "failed" in case:
            print("%s failed: %s" % (name, case["failed"]))


def counted(counts):
    return ", ".join("%s %d" % (reason, count) for reason, count in counts.items())


def print_exits(result):
    for name, case in result["cases"].items():
        if "reasons" in case and (case["ours"] or name == "qemu-boot"):
            print("%s: %s" % (name, counted(case["reasons"])))
            print("%s to user space: %s" % (" " * len(name), counted(case["user_reasons"])))


def print_targets(result):
    rows = [("target", "", "is", "at most", "")]
    for target, value, reached in targets_of(result):
        is_text = "not measured" if value is None else "%.4g" % value
        rows.append((target.name, target.text, is_text, "%g" % target.limit, "reached" if reached else "MISSED"))
    table(rows)


def print_result(result):
    if result["mode"] == "icount":
        print("Mi: million instructions of host, monitor and guest together, waits counted too, from exec to end;")
        print("busy: without the waits. Spread of Mi: the host's timer tick, 4 Mi, that ends some waits.")
    print_cases(result)
    print()
    print_exits(result)
    if "private_kib" in result["memory"]:
        memory = result["memory"]
        print(
            "\nmonitor of an idle container: %(private_kib)d KiB private beyond guest RAM; "
            "guest RAM touched: %(guest_kib)d KiB" % memory
        )
    print()
    print_targets(result)


# ---- the committed figures -------------------------------------------------------------------------------------------


def figures_of(result):
    """The figures that are committed: {"case.metric": value}, lower is better for each. Ours only."""
    figures = {}
    for name, case in result["cases"].items():
        if not case["ours"] or "failed" in case:
            continue
        for metric in ("mi", "busy_mi"):
            figures["%s.%s" % (name, metric)] = round(case[metric]["mean"], 3)
        for metric in ("exits", "user_exits"):
            if metric in case:
                figures["%s.%s" % (name, metric)] = case[metric]
    if "private_kib" in result["memory"]:
        figures["idle.private_kib"] = result["memory"]["private_kib"]
    return figures


def baseline_of(result):
    return {
        "conditions": result["conditions"],
        "targets_reached": [target.name for target, _, reached in targets_of(result) if reached],
        "peers_mi": {
            name: round(case["mi"]["mean"], 3)
            for name, case in result["cases"].items()
            if not case["ours"] and "failed" not in case
        },
        "figures": figures_of(result),
    }


def write_baseline(path, result):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(baseline_of(result), file, indent=2, sort_keys=True)
        file.write("\n")


def judge(name, new, old, tolerance):
    """(ok, word, text) for one figure against the committed one."""
    metric = name.rsplit(".", 1)[1]
    change = (new - old) / old if old else float(new > 0)
    text = "%s: %g, committed %g (%+.1f %%)" % (name, new, old, 100 * change)
    if abs(new - old) <= SLACK[metric]:
        return True, "", text
    if change > tolerance:
        return False, "WORSE", text
    return True, "better" if change < -TOLERANCE else "", text


class Verdict:
    """Counts what passed and failed; says each failure."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.better = 0

    def add(self, ok, text):
        self.passed += ok
        self.failed += not ok
        print("%s %s" % ("ok  " if ok else "FAIL", text))


def compare(result, baseline):
    """Every committed figure and every target that was reached, against a new result."""
    verdict = Verdict()
    same = result["conditions"] == baseline["conditions"]
    tolerance = TOLERANCE if same else TOLERANCE_OTHER_CONDITIONS
    if not same:
        print("Other conditions than those of the committed figures; %.0f %% tolerated:" % (100 * tolerance))
        for key, value in result["conditions"].items():
            if value != baseline["conditions"].get(key):
                print("    %s: %s, was %s" % (key, value, baseline["conditions"].get(key)))
    figures = figures_of(result)
    measured = {name + "." for name in result["cases"]} | {"idle."}
    for name, old in baseline["figures"].items():
        if name.rsplit(".", 1)[0] + "." not in measured:
            continue
        if name not in figures:
            verdict.add(False, name + ": not measured any more")
            continue
        ok, word, text = judge(name, figures[name], old, tolerance)
        verdict.better += word == "better"
        verdict.add(ok, text + (" " + word if word else ""))
    for target, value, reached in targets_of(result):
        if target.name in baseline["targets_reached"]:
            verdict.add(reached, "target %s: %s, at most %g" % (target.text, value, target.limit))
    return verdict
