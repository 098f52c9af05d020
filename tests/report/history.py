"""A history of some weeks, as the folded figures of every day would have it."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

from tests.helpers import claim, fail, queue_media

TYPES = {  # files a day, bytes a file, share of repeats, bucket, typical bucket of the time
    "image": (820, 240_000, 0.34, "images", 44),
    "document": (210, 680_000, 0.22, "documents", 46),
    "audio": (160, 95_000, 0.02, "audio", 42),
    "video": (70, 4_300_000, 0.18, "videos", 52),
    "sticker": (45, 42_000, 0.71, "images", 41),
}
WEEKEND = 5


async def write_history(db: Any, today: date, days: int) -> None:
    """Figures of so many days up to today: more on weekdays, a little more each week."""
    for back in range(days):
        day = today - timedelta(days=back)
        busy = (0.55 if day.weekday() >= WEEKEND else 1.0) * (1 + 0.012 * (days - back))
        busy *= 1 + 0.16 * math.sin(day.toordinal() * 1.7)
        for media_type, (files, size, repeats, _, time_bucket) in TYPES.items():
            count = round(files * busy * (0.4 if back == 0 else 1))
            again = round(count * repeats)
            failed = round(count * (0.05 if back in (8, 9) else 0.006))
            received = round(count * size * (1 + 0.2 * math.sin(day.toordinal() * 2.3)))
            await db.execute(
                "insert into media_analytics (date, media_type, total_files, total_size_bytes,"
                " unique_files, deduplicated_files, saved_bytes, failed_files, processing_ms,"
                " stored_files, stored_bytes) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $3, $4)",
                day, media_type, count, received, count - again, again,
                round(received * repeats), failed, count * 2000,
            )  # fmt: skip
            for away, share in ((-3, 0.2), (0, 0.45), (3, 0.28), (11, 0.07)):
                shift = round(2.4 * math.sin(day.toordinal() * 0.9))
                await db.execute(
                    "insert into media_processing_times values ($1, $2, $3, $4)",
                    day, media_type, time_bucket + away + shift, max(1, round(count * share)),
                )  # fmt: skip
    await db.execute(
        "insert into media_bucket_totals select b.bucket_name, 9000, 3200000000"
        " from media_buckets b on conflict (bucket_name) do update set objects = 9000,"
        " bytes = 3200000000"
    )


async def write_failures(db: Any, *texts: str, code: str = "131051") -> None:
    """Dead letters with these texts."""
    for text in texts:
        media = await queue_media(db)
        tokens = await claim(db)
        await fail(db, media, tokens[media], code=code, http_status=400, text=text)
