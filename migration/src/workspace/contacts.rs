//! The table of contacts: a column for each field.

use super::{index, key, moment, tables};
use sea_orm::{
    DbBackend,
    sea_query::{ColumnDef, Index, IndexOrder, Table},
};

/// Texts and their longest value in characters.
const TEXTS: [(&str, u32); 18] = [
    ("external_id", 255),
    ("timezone", 50),
    ("language", 50),
    ("first_name", 255),
    ("last_name", 255),
    ("full_name", 255),
    ("phone", 50),
    ("address_line_1", 255),
    ("address_line_2", 255),
    ("country", 100),
    ("postcode", 20),
    ("state", 100),
    ("job_title", 255),
    ("custom_string_1", 255),
    ("custom_string_2", 255),
    ("custom_string_3", 255),
    ("custom_string_4", 255),
    ("custom_string_5", 255),
];
const NUMBERS: [&str; 5] =
    ["custom_number_1", "custom_number_2", "custom_number_3", "custom_number_4", "custom_number_5"];
const TIMES: [&str; 5] =
    ["custom_datetime_1", "custom_datetime_2", "custom_datetime_3", "custom_datetime_4", "custom_datetime_5"];
const JSON: [&str; 5] = ["custom_json_1", "custom_json_2", "custom_json_3", "custom_json_4", "custom_json_5"];

pub(super) fn create(backend: DbBackend) -> Vec<String> {
    let mut table = Table::create();
    table.table("contacts").col(key(backend, "email", 255).not_null().primary_key());
    for (name, length) in TEXTS {
        table.col(ColumnDef::new(name).string_len(length));
    }
    for name in NUMBERS {
        table.col(ColumnDef::new(name).double());
    }
    for name in TIMES {
        table.col(ColumnDef::new(name).timestamp_with_time_zone());
    }
    for name in JSON {
        table.col(ColumnDef::new(name).json_binary());
    }
    table.col(moment("created_at")).col(moment("updated_at"));

    let newest_first = Index::create()
        .name("contacts_created_at_email")
        .table("contacts")
        .col(("created_at", IndexOrder::Desc))
        .col("email")
        .take();
    let by_external_id = index("contacts_external_id", "contacts", &["external_id"]);
    tables(backend, &table, &[newest_first, by_external_id])
}
