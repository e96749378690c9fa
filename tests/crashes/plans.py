"""The runs that are crashed: twenty images, with all that can become of one."""

from __future__ import annotations

from tests.crashes.pair import Plan, Seen

IMAGES = 20
PICTURES = {f"picture {n}": Seen(95.0 if n % 4 else 40.0, f"text {n}") for n in range(IMAGES)} | {
    "picture 3": Seen(87.0, ""),
    "picture 5": Seen(None, ""),
    "picture 7": Seen(99.0, None),
    "picture 9": Seen(99.0, ""),
}
EACH_ITS_OWN = {f"{n}.jpg": f"picture {n}" for n in range(IMAGES)} | {"19.jpg": ""}
COPIES = {f"{n}.jpg": f"picture {n % 8}" for n in range(IMAGES)}

PLANS = (
    Plan("one at a time", EACH_ITS_OWN, PICTURES),
    Plan("four at a time", EACH_ITS_OWN, PICTURES, in_flight=4, small_wal=True),
    Plan("both at once", EACH_ITS_OWN, PICTURES, in_flight=4, at_once=True),
    Plan("copies", COPIES, PICTURES, in_flight=4, at_once=True),
    Plan("known", EACH_ITS_OWN, PICTURES, in_flight=4, is_known=True),
    Plan("a fleet", EACH_ITS_OWN, PICTURES, in_flight=2, is_fleet=True),
)
