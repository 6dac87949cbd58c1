//! What the events come to, and what queries make of it: plain and slow, to compare with.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

/// A result by key.
pub(crate) type Rows = BTreeMap<String, Value>;

/// The queries whose results are compared, in SQL. `mark` says up to which append a result is.
pub(crate) const QUERIES: [(&str, &str); 6] = [
    ("mark", "SELECT n FROM marks"),
    (
        "late",
        "SELECT status, carrier, \"arrivalDelay\" AS delay FROM flights WHERE \"arrivalDelay\" > 60",
    ),
    (
        "hours",
        "SELECT \"scheduledHour\" AS h, count(*) AS c, sum(distance) AS d, max(distance) AS m FROM flights GROUP BY \"scheduledHour\"",
    ),
    (
        "carriers",
        "SELECT a.name AS name, count(*) AS c, sum(f.distance) AS d FROM flights f JOIN airlines a ON f.carrier = a.carrier GROUP BY a.name",
    ),
    (
        "far",
        "SELECT distance FROM flights ORDER BY distance DESC LIMIT 25",
    ),
    (
        "planes",
        "SELECT f.status AS status, p.model AS model FROM flights f JOIN planes p ON f.\"tailNumber\" = p.\"tailNumber\" WHERE f.status = 'departed'",
    ),
];

/// The rows that came in, by type and key.
#[derive(Default)]
pub(crate) struct Model {
    rows: HashMap<String, BTreeMap<String, Value>>,
    pub(crate) mark: u64,
}

impl Model {
    pub(crate) fn take(&mut self, event: &Value) {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let rows = self.rows.entry(text("type")).or_default();
        if event["headers"]["operation"] == "delete" {
            rows.remove(&text("key"));
        } else {
            rows.insert(text("key"), event["value"].clone());
        }
        if event["type"] == "marks" {
            self.mark = event["value"]["n"].as_u64().unwrap_or_default();
        }
    }

    fn all(&self, kind: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.rows.get(kind).into_iter().flatten()
    }

    /// What a query gives.
    pub(crate) fn result(&self, name: &str) -> Rows {
        let flights = self.all("flights");
        match name {
            "mark" => [("mark".to_owned(), json!({"n": self.mark}))].into(),
            "late" => flights
                .filter(|(_, f)| f["arrivalDelay"].as_f64().is_some_and(|delay| delay > 60.0))
                .map(|(key, f)| {
                    let row = json!({"status": f["status"], "carrier": f["carrier"],
                        "delay": f["arrivalDelay"]});
                    (key.clone(), row)
                })
                .collect(),
            "hours" => {
                let mut hours = BTreeMap::<i64, (i64, i64, i64)>::new();
                for (_, f) in flights {
                    let distance = f["distance"].as_i64().unwrap_or_default();
                    let hour = f["scheduledHour"].as_i64().unwrap_or_default();
                    let (count, sum, most) = hours.entry(hour).or_default();
                    (*count, *sum, *most) = (*count + 1, *sum + distance, distance.max(*most));
                }
                let row = |(h, (c, d, m)): (i64, _)| {
                    (format!("[{h}]"), json!({"h": h, "c": c, "d": d, "m": m}))
                };
                hours.into_iter().map(row).collect()
            }
            "carriers" => {
                let mut carriers = BTreeMap::<&str, (i64, i64)>::new();
                for (_, f) in flights {
                    let same = |(_, a): &(&String, &Value)| a["carrier"] == f["carrier"];
                    if let Some((_, airline)) = self.all("airlines").find(same) {
                        let name = airline["name"].as_str().unwrap_or_default();
                        let (count, sum) = carriers.entry(name).or_default();
                        let distance = f["distance"].as_i64().unwrap_or_default();
                        (*count, *sum) = (*count + 1, *sum + distance);
                    }
                }
                let row = |(name, (c, d))| {
                    (
                        json!([name]).to_string(),
                        json!({"name": name, "c": c, "d": d}),
                    )
                };
                carriers.into_iter().map(row).collect()
            }
            "far" => {
                let mut all: Vec<_> = flights.collect();
                all.sort_by_key(|(key, f)| (-f["distance"].as_i64().unwrap_or_default(), *key));
                all.into_iter()
                    .take(25)
                    .map(|(key, f)| (key.clone(), json!({"distance": f["distance"]})))
                    .collect()
            }
            _ => {
                let planes = self.rows.get("planes");
                let row = |(key, f): (&String, &Value)| {
                    let tail = f["tailNumber"].as_str()?;
                    let plane = planes?.get(tail)?;
                    (f["status"] == "departed").then(|| {
                        let row = json!({"status": f["status"], "model": plane["model"]});
                        (json!([key, tail]).to_string(), row)
                    })
                };
                flights.filter_map(row).collect()
            }
        }
    }
}
