"""The tables of docs/costs.md as DuckDB has them, with rows made of the gateway's own log lines.

A line becomes a row as Google's documentation says: what Cloud Logging takes for itself leaves the payload,
numbers are FLOAT64, and a column is there once a line had a value for it.
"""

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from app.cloud_log import LABELS, CloudLog
from app.logs import JsonFormatter, RequestRecord, logging_config
from app.settings import Settings
from app.usage import Usage

LOG = "vllm_logs.run_googleapis_com_stdout"
BILL = "billing.gcp_billing_export_v1_XXXXXX_XXXXXX_XXXXXX"
TAKEN = re.compile(r"time|severity|logging\.googleapis\.com/.*")
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
TYPES = {bool: "BOOLEAN", float: "DOUBLE", str: "VARCHAR"}
BILLED = (
    "CREATE TABLE {} (usage_start_time TIMESTAMPTZ, labels STRUCT(key VARCHAR, value VARCHAR)[], "
    "service STRUCT(description VARCHAR), sku STRUCT(description VARCHAR), cost DOUBLE, "
    "credits STRUCT(name VARCHAR, amount DOUBLE)[])"
)
Row = dict[str, Any]


def log_line(key: str | None, seconds: float, tokens: tuple[int, int], **labels: str) -> Row:
    """What the gateway writes of one request, read again."""
    settings = Settings(
        log_labels=",".join(f"{name.replace('_', '-')}={value}" for name, value in labels.items()),
        k_service="vllm",
    )
    usage = Usage(prompt_tokens=tokens[0], completion_tokens=tokens[1], cached_tokens=tokens[0] // 2)
    record = RequestRecord(method="POST", route="/v1/chat/completions", status=200, usage=usage)
    record.key_name, record.gpu_seconds = key, seconds
    formats: Row = dict(logging_config("json")["formatters"]["line"])
    formats.pop("()")
    told = {**record.fields(), **CloudLog(settings).fields(None)}
    made = {"name": "gateway.request", "levelname": "INFO", "msg": "request", **told}
    line: Row = json.loads(JsonFormatter(**formats).format(logging.makeLogRecord(made)))
    return line


def log_row(line: Row, at: datetime = NOON) -> Row:
    """The row that the sink makes of it."""
    payload = {column(name): as_float(value) for name, value in line.items() if not TAKEN.fullmatch(name)}
    labels = {column(name): value for name, value in line.get(LABELS, {}).items()}
    return {"timestamp": at, "labels": labels, "jsonPayload": payload}


def column(name: str) -> str:
    """A name as BigQuery has it."""
    return re.sub(r"[^a-z0-9]", "_", name.lower()).lstrip("_")


def as_float(value: Any) -> Any:
    """JSON knows one kind of number."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def bill_row(cost: float, credit: float = 0.0, at: datetime = NOON, **labels: str) -> Row:
    """A line of the billing export: an hour of a GPU."""
    return {
        "usage_start_time": at,
        "labels": [{"key": name.replace("_", "-"), "value": value} for name, value in labels.items()],
        "service": {"description": "Cloud Run"},
        "sku": {"description": "Nvidia L4"},
        "cost": cost,
        "credits": [{"name": "a discount", "amount": -credit}] if credit else [],
    }


class Warehouse:
    """Both tables in a DuckDB of their own, which is asked in BigQuery's SQL."""

    def __init__(self, log: list[Row], bill: list[Row]) -> None:
        self._database = duckdb.connect()
        self._database.execute("SET TimeZone = 'UTC'; CREATE SCHEMA vllm_logs; CREATE SCHEMA billing")
        structs = ", ".join(f"{name} STRUCT({typed(log, name)})" for name in ("labels", "jsonPayload"))
        self._database.execute(f'CREATE TABLE {LOG} ("timestamp" TIMESTAMPTZ, {structs})')
        self._database.execute(BILLED.format(BILL))
        for table, rows in ((LOG, log), (BILL, bill)):
            for row in rows:
                places = ", ".join("?" for _ in row)
                self._database.execute(f"INSERT INTO {table} VALUES ({places})", list(row.values()))

    def ask(self, query: str) -> list[Row]:
        """The rows of the answer."""
        (tree,) = sqlglot.parse(query, read="bigquery")
        assert tree is not None
        answer = self._database.execute(for_duckdb(tree).sql("duckdb"))
        names = [each[0] for each in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def typed(rows: list[Row], name: str) -> str:
    """The fields of a struct, by the first value of each that is one."""
    kinds: dict[str, str] = {}
    for row in rows:
        kinds |= {key: TYPES[type(value)] for key, value in row[name].items() if value is not None}
    return ", ".join(f'"{key}" {kind}' for key, kind in kinds.items())


def for_duckdb(tree: exp.Expr) -> exp.Expr:
    """BigQuery reads the fields of unnested structs by their names; DuckDB has to be told to part them."""
    for unnest in list(tree.find_all(exp.Unnest)):
        array = unnest.expressions[0].sql("duckdb")
        unnest.replace(sqlglot.parse_one(f"(SELECT unnest({array}, max_depth := 2))", read="duckdb"))
    return tree
