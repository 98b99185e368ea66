use super::{Body, Fate};

/// A line of ours that has in it what answers are looked through for.
const LINE: &str = r#"ipvs_sampler lines_dropped=0i,reason="can't, dropped=3" 1"#;

fn fate(status: u16, body: &str, lines: u64) -> (u64, u64) {
    let Fate {
        rejected,
        uncertain,
    } = Body::read(Some(body.as_bytes())).fate(status, lines);
    (rejected, uncertain)
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// As InfluxDB 3 answers a request with bad lines in it.
fn three(bad: impl IntoIterator<Item = u64>) -> String {
    let line = json(LINE);
    let bad = bad.into_iter().map(|number| {
        format!(
            r#"{{"original_line":{line},"line_number":{number},"error_message":"invalid column type for column 'mode', expected iox::column_type::field::string, got iox::column_type::field::integer"}}"#
        )
    });
    let bad: Vec<_> = bad.collect();
    format!(
        r#"{{"error":"partial write of line protocol occurred","data":[{}]}}"#,
        bad.join(",")
    )
}

#[test]
fn influxdb_1_says_at_the_end_how_many_it_dropped() {
    let conflict = r#"{"error":"partial write: field type conflict: input field \"v\" on measurement \"m\" is type float, already exists as type integer dropped=12"}"#;
    assert_eq!(fate(400, conflict, 100), (12, 0));
    // Never more than there were.
    assert_eq!(fate(400, conflict, 10), (10, 0));
    let retention = r#"{"error":"partial write: points beyond retention policy dropped=3"}"#;
    assert_eq!(fate(400, retention, 100), (3, 0));
}

#[test]
fn influxdb_1_lists_the_lines_that_it_cannot_parse() {
    let bad = format!("unable to parse '{LINE}': invalid number");
    let body = |error: &str| format!(r#"{{"error":{}}}"#, json(error));
    let some = body(&format!("partial write: {bad}\n{bad} dropped=0"));
    assert_eq!(fate(400, &some, 100), (2, 0));
    // When there is no good one among them.
    assert_eq!(fate(400, &body(&format!("{bad}\n{bad}")), 2), (2, 0));
}

#[test]
fn influxdb_2_says_it_in_its_message() {
    for after in ["", " for database: 5f00 for retention policy: autogen"] {
        let body = format!(
            r#"{{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict: input field \"v\" on measurement \"m\" is type string, already exists as type float dropped=11{after}"}}"#
        );
        assert_eq!(fate(422, &body, 100), (11, 0));
    }
    // The first bad line refuses all of them.
    let message = json(&format!("unable to parse '{LINE}': invalid field format"));
    let body = format!(r#"{{"code":"invalid","message":{message}}}"#);
    assert_eq!(fate(400, &body, 100), (100, 0));
}

#[test]
fn influxdb_3_lists_the_bad_lines_and_stores_the_others() {
    assert_eq!(fate(400, &three([7]), 159), (1, 0));
    assert_eq!(fate(400, &three(1..=159), 159), (159, 0));
    assert_eq!(
        fate(400, &three([3, 3, 9]), 159),
        (2, 0),
        "a line has two faults"
    );
    let documented = r#"{"error":"partial write of line protocol occurred","data":[{"original_line":"home,room=Sunroom temp=hi 1735549200","line_number":2,"error_message":"invalid column type for column 'temp', expected iox::column_type::field::float, got iox::column_type::field::string"}]}"#;
    assert_eq!(fate(400, documented, 2), (1, 0));
    // With accept_partial=false in the address.
    let none = r#"{"error":"parsing failed for write_lp endpoint","data":{"original_line":"cpu,host=a val= 123","line_number":1,"error_message":"No fields were provided"}}"#;
    assert_eq!(fate(400, none, 50), (50, 0));
}

#[test]
fn a_list_that_is_as_long_as_lists_get_leaves_the_rest_uncertain() {
    assert_eq!(fate(400, &three(1..=100), 159), (100, 59));
    assert_eq!(fate(400, &three(1..=101), 159), (101, 0));
    let clustered = r#"{"code":"invalid","line":2,"message":"failed to parse line protocol: errors encountered on line(s):\nerror parsing line 2 (1-based): Invalid measurement was provided\nerror parsing line 4 (1-based): Unable to parse timestamp value '123461000000000000000000000000'"}"#;
    assert_eq!(fate(400, clustered, 100), (2, 98));
}

#[test]
fn what_an_answer_does_not_say_is_uncertain() {
    for body in [
        "",
        "partial write",
        r#"{"error":"partial write: something new"}"#,
        r#"{"error":"partial write: dropped=many"}"#,
        r#"{"error":"write failed: field type conflict"}"#,
        // Behind a quoted line, not at the end.
        r#"{"error":"partial write: bad line 'a dropped=3 b=1i'"}"#,
        "<html>Bad Request</html>",
    ] {
        assert_eq!(fate(400, body, 9), (0, 9), "{body}");
    }
    assert_eq!(
        Body::read(None).fate(400, 9),
        Fate {
            rejected: 0,
            uncertain: 9
        }
    );
    // As InfluxDB Cloud Serverless did.
    assert_eq!(fate(201, "", 9), (0, 0));
    assert_eq!(
        fate(201, r#"{"code":"invalid","message":"partial"}"#, 9),
        (0, 9)
    );
}

#[test]
fn a_request_that_was_refused_as_such_has_lost_all_its_lines() {
    for status in [301, 405, 411, 414, 415, 431] {
        assert_eq!(fate(status, "whatever dropped=1", 9), (9, 0), "{status}");
    }
}

#[test]
fn causes_are_short_and_of_one_kind_whatever_line_is_quoted() {
    let cause = |body: &str| Body::read(Some(body.as_bytes())).cause("400 Bad Request");
    let error = |text: &str| cause(&format!(r#"{{"error":{}}}"#, json(text)));
    let conflict = |field: &str, dropped: u32| {
        error(&format!(
            r#"partial write: field type conflict: input field "{field}" is type float dropped={dropped}"#
        ))
    };
    let (one, other) = (conflict("v", 1), conflict("w8", 22));
    assert_eq!(
        one.words,
        "400 Bad Request: partial write: field type conflict: input field v is type float"
    );
    assert_eq!(one.kind, other.kind);
    assert_ne!(one.words, other.words);

    let unparsed = |line: &str| error(&format!("unable to parse '{line}': invalid number"));
    let one = unparsed(LINE);
    assert_eq!(
        one.words,
        "400 Bad Request: unable to parse …: invalid number"
    );
    assert_eq!(one, unparsed("another,line=x a=1i 2"));

    let three = cause(&three([1]));
    assert!(
        three.words.contains("for column mode, expected"),
        "{}",
        three.words
    );
    assert!(!three.words.contains("lines_dropped"), "{}", three.words);

    assert_eq!(
        error("rejected, error id 8f3a9c at 17:03\n\u{7}more").words,
        "400 Bad Request: rejected, error id … at …"
    );
    assert_eq!(
        error("user doesn't exist").words,
        "400 Bad Request: user doesn't exist"
    );
    assert_eq!(cause("").words, "400 Bad Request");
    assert!(error(&"x".repeat(10_000)).words.len() < 300);
}
