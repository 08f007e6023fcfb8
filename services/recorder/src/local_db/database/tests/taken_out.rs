//! Tests of rows that are taken out again.

use super::*;

#[test]
fn rows_that_are_gone_are_taken_out_but_not_those_there_again_or_of_others() {
    let (_folder, path) = place();
    let mut database = Database::open(&path).unwrap();
    database.prepare(&plan()).unwrap();
    let take_out =
        |database: &mut Database, gone: &[u64]| database.take_out(&plan(), &events(gone)).unwrap();
    // What there is now is not known yet.
    assert_eq!(take_out(&mut database, &[1]), Written::Rows(0));
    database.write(&plan(), &events(&[1, 2, u64::MAX])).unwrap();
    database.write(&plan(), &events(&[2, 3])).unwrap();
    // The same event with another picture, as somebody else wrote it.
    let others = "UPDATE event_selection SET plot_filename = 'old.png' WHERE trigger_counter = 1";
    Connection::open(&path)
        .unwrap()
        .execute_batch(others)
        .unwrap();
    assert_eq!(counters(&path), [1, 2, -1, 3]);
    assert_eq!(take_out(&mut database, &[1, 2, u64::MAX]), Written::Rows(1));
    assert_eq!(counters(&path), [1, 2, 3]);
    assert_eq!(take_out(&mut database, &[1, 2, u64::MAX]), Written::Rows(0));
    // Once the table has let it go it goes, and comes back when the table has it again.
    database.write(&plan(), &events(&[3])).unwrap();
    assert_eq!(take_out(&mut database, &[1, 2]), Written::Rows(1));
    database.write(&plan(), &events(&[3, 2])).unwrap();
    assert_eq!(take_out(&mut database, &[1]), Written::Rows(0));
    assert_eq!(counters(&path), [1, 3, 2]);
}

/// Two programs that see the same events write the same rows.
#[test]
fn a_row_that_km3mon_wrote_first_or_again_was_taken_out_with_ours() {
    let row = "60, 823, 184, 4, 'a''b\"; DROP TABLE x.png', 6760, 44, 156, 1, 1574432870";
    let (_folder, path) = place();
    let km3mon = file_of_km3mon(&path, CREATE, &[row]);
    let mut database = Database::open(&path).unwrap();
    let written = database.write(&plan(), &events(&[1, 2])).unwrap();
    assert_eq!(written, Written::Rows(1));
    let again = row.replace("156, 1,", "156, 2,");
    let again = format!(
        "DROP INDEX fathom_event_selection_key; INSERT INTO event_selection VALUES ({again})"
    );
    km3mon.execute_batch(&again).unwrap();
    assert_eq!(counters(&path), [1, 2, 2]);
    let mut database = Database::open(&path).unwrap();
    database.write(&plan(), &events(&[])).unwrap();
    let taken_out = database.take_out(&plan(), &events(&[1, 2])).unwrap();
    assert_eq!(taken_out, Written::Rows(1));
    let mut database = Database::open(&path).unwrap();
    database.write(&plan(), &events(&[])).unwrap();
    let taken_out = database.take_out(&plan(), &events(&[1, 2])).unwrap();
    assert_eq!(taken_out, Written::Rows(0));
    assert_eq!(counters(&path), [1, 2]);
}

/// Each row that was written was looked for among all others.
#[test]
fn keys_of_own_rows_are_found_by_an_index_also_in_a_file_of_before() {
    let (_folder, path) = place();
    let mut database = Database::open(&path).unwrap();
    database.write(&plan(), &events(&[1, 2])).unwrap();
    let drop_index = "DROP INDEX fathom_event_selection_rows_key";
    let before = Connection::open(&path).unwrap();
    before.execute_batch(drop_index).unwrap();
    let mut database = Database::open(&path).unwrap();
    database.write(&plan(), &events(&[2])).unwrap();
    let explain = "EXPLAIN QUERY PLAN DELETE FROM fathom_event_selection_rows WHERE det_id IS ?1 \
                   AND run_id IS ?2 AND frame_index IS ?3 AND trigger_counter IS ?4";
    let how: String = Connection::open(&path)
        .unwrap()
        .query_row(explain, [44, 6760, 156, 1], |row| row.get("detail"))
        .unwrap();
    assert!(how.contains("SEARCH") && how.contains("_rows_key"), "{how}");
    let taken_out = database.take_out(&plan(), &events(&[1])).unwrap();
    assert_eq!(taken_out, Written::Rows(1));
}
