# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows are counted as whoever loads the dump gets them, however it is cut, or not at all."""

from __future__ import annotations

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._backup_rows import MAX_STATEMENT, RowCounter
from hypothesis import example, given, settings
from hypothesis import strategies as st

HEADER = """/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB
--
-- Host: localhost    Database: jira's
-- ------------------------------------------------------

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
"""
FOOTER = "/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;\n\n-- Dump completed on 2026-11-29 10:00:00\n"
CREATE = """
--
-- Table structure for table {name}
--

DROP TABLE IF EXISTS {name};
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE {name} (
  `id` bigint(20) NOT NULL DEFAULT 'it''s; \\\\',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB COMMENT='it''s; -- " /* `';
/*!40101 SET character_set_client = @saved_cs_client */;
"""
DATA = """
--
-- Dumping data for table {name}
--

LOCK TABLES {name} WRITE;
/*!40000 ALTER TABLE {name} DISABLE KEYS */;
{rows}/*!40000 ALTER TABLE {name} ENABLE KEYS */;
UNLOCK TABLES;
"""
ESCAPES = {"\0": "\\0", "\n": "\\n", "\r": "\\r", "\\": "\\\\", "'": "\\'", '"': '\\"', "\x1a": "\\Z"}
TABLE = "CREATE TABLE `a` (x int);\n"
ROW = "INSERT INTO `a` VALUES (1,"
BODIES = """
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`jira`@`localhost`*/ /*!50003 TRIGGER t BEFORE INSERT ON `a` FOR EACH ROW BEGIN
 -- it's a comment; "so
 # another it's
 /* DELIMITER ;
INSERT INTO `a` VALUES (1); */
 INSERT INTO `b` VALUES ('x
INSERT INTO `a` VALUES (1);
DELIMITER ;
', "y;;", 7-1--1, 4 / 2);
END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
CREATE SEQUENCE `s` start with 1 minvalue 1 maxvalue 9223372036854775806 increment by 1 ENGINE=InnoDB;
DO SETVAL(`s`, 1001, 0);
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50001 VIEW `v` AS select 'it''s; INSERT INTO `a` VALUES (1);' AS `x'` */;
"""


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def value(item: object) -> str:
    if isinstance(item, str):
        return "'" + "".join(ESCAPES.get(char, char) for char in item) + "'"
    if isinstance(item, bytes):
        return f"0x{item.hex().upper()}" if item else "''"
    return "NULL" if item is None else str(item)


def dump_of(tables: dict[str, list[list[object]]], per_statement: int, mysql: bool, columns: str) -> bytes:
    """Return a dump as the tools of MySQL or MariaDB write it."""
    text = HEADER
    for name, rows in tables.items():
        start, between = ("VALUES ", ",") if mysql else ("VALUES\n", ",\n")
        statements = ""
        for first in range(0, len(rows), per_statement):
            shown = ["(" + ",".join(map(value, row)) + ")" for row in rows[first : first + per_statement]]
            statements += f"INSERT INTO {quoted(name)} {columns}{start}{between.join(shown)};\n"
        made = CREATE.format(name="\0") + DATA.format(name="\0", rows=statements)
        text += made.replace("\0", quoted(name))
    return (text + BODIES + FOOTER).encode("utf-8")


def count(dump: bytes, *cuts: int) -> tuple[dict[str, int] | None, str]:
    counter, last = RowCounter(), 0
    for cut in (*sorted(cuts), len(dump)):
        counter.take(dump[last:cut])
        last = max(last, cut)
    return counter.rows(), counter.problem


HOSTILE = "'\"\\`(),;\n\r\0\x1a-/*#aü😀 "
WORDS = (
    "INSERT INTO `a` VALUES (1);\n",
    "');\nDROP TABLE a;\n",
    "DELIMITER ;;\n",
    "\\';\n",
    "\\\\'",
    ",",
    "NULL",
    "/*",
    "*/",
    "-- ",
)
ANY = st.characters(exclude_categories=["Cs"])
TEXTS = st.one_of(st.text(HOSTILE, max_size=12), st.sampled_from(WORDS), st.text(ANY, max_size=12))
VALUES = st.one_of(TEXTS, st.binary(max_size=6), st.none(), st.integers(), st.just(-1.5e-30))
# What a line break in a name begins in a comment, the tools write otherwise.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"), min_size=1, max_size=12)
TABLES = st.dictionaries(NAMES, st.lists(st.lists(VALUES, min_size=1, max_size=4), max_size=6), max_size=3)


@settings(max_examples=150, deadline=None)
@given(TABLES, st.integers(1, 4), st.booleans(), st.sampled_from(["", "(`id`, `x``,(`) "]), st.data())
def test_rows_are_those_that_were_written(
    tables: dict[str, list[list[object]]], per_statement: int, mysql: bool, columns: str, data: st.DataObject
) -> None:
    dump = dump_of(tables, per_statement, mysql, columns)
    cuts = data.draw(st.lists(st.integers(0, len(dump)), max_size=6))
    assert count(dump, *cuts) == ({name: len(rows) for name, rows in tables.items()}, "")


def test_it_may_be_cut_anywhere() -> None:
    rows: list[list[object]] = [["it's \\ ; (1),(2)\n", b"\x01", None, -1.5], ["\\", "';\n", "", 7]]
    dump = dump_of({"a": rows, "odd ``name": rows * 2, "none": []}, 2, False, "")
    wanted = {"a": 2, "odd ``name": 4, "none": 0}
    for cut in range(len(dump)):
        assert count(dump, cut) == (wanted, ""), dump[:cut]
    assert count(dump, *range(len(dump))) == (wanted, "")


def test_what_mysql_marks_and_names_with_line_breaks() -> None:
    name = "`a\nINSERT INTO ``b`` VALUES (1);\n`"
    text = HEADER + TABLE.replace("`a`", name)
    text += f"INSERT INTO {name} VALUES (1,_binary 'a\\0\\'',b'101'),(2,'','');\n"  # noqa: S608 - of nobody
    assert count(text.encode()) == ({"a\nINSERT INTO `b` VALUES (1);\n": 2}, "")


def test_a_long_row_is_not_kept() -> None:
    counter = RowCounter()
    counter.take(f"{HEADER}CREATE TABLE `a` (x longtext);\nINSERT INTO `a` VALUES ('".encode())
    for _piece in range(8):
        counter.take(b"x\\'" * 1_000_000)
        assert len(counter._rest) + len(counter._held) < 100
    counter.take(b"');\n")
    assert counter.rows() == {"a": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@INSERT INTO `a` VALUES (1", "ends within a statement"),
        ("CREATE TABLE `a` (x int", "ends within a statement"),
        ("@INSERT INTO `a` VALUES ('1;\n", "ends within a statement"),
        ("@INSERT INTO `a` VALUES (1;\n", "a row of a does not end"),
        ("@INSERT INTO `a` VALUES ((1));\n", "a row of a is of no known form"),
        ("@INSERT INTO `a` VALUES (NOW());\n", "a row of a is of no known form"),
        ("@INSERT INTO `a` VALUES (\\N);\n", "a row of a is of no known form"),
        ('@INSERT INTO `a` VALUES ("x");\n', "a row of a is of no known form"),
        ("@INSERT IGNORE INTO `a` VALUES (1);\n", "a statement of no known kind: 'INSERT IGN"),
        ("@REPLACE INTO `a` VALUES (1);\n", "a statement of no known kind"),
        ("USE `b`;\n", "a statement of no known kind: 'USE `b`'"),
        (";\n", "a statement of no known kind"),
        ("INSERT INTO `b` VALUES (1);\n", "rows of b, which is no table in it"),
        ("@@", "makes table a twice"),
        ("DELIMITER //\nx //\n", "ends within a statement"),
        ("/*!50003 SET sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES' */ ;\n", "made with NO_BACKSLASH_ESCAPES"),
        ("CREATE TABLE `a` (x varchar(1) DEFAULT 'x);\n", "ends within a statement"),
        ("/* never ends", "ends within a statement"),
    ],
)
def test_what_is_not_known_makes_them_unknown(text: str, words: str) -> None:
    text = HEADER + text.replace("@", TABLE)
    for cuts in ((), range(len(text))):
        rows, problem = count(text.encode(), *cuts)
        assert rows is None
        assert words in problem


def test_without_its_mode_strings_cannot_be_read() -> None:
    rows, problem = count(TABLE.encode() + b"INSERT INTO `a` VALUES (1);\n")
    assert (rows, "does not tell how strings are escaped" in problem) == (None, True)


def test_names_are_utf_8() -> None:
    rows, problem = count(HEADER.encode() + b"CREATE TABLE `\xff` (x int);\n")
    assert (rows, "is no UTF-8" in problem) == (None, True)


def test_a_statement_without_end_is_given_up() -> None:
    counter = RowCounter()
    counter.take(b"CREATE TABLE `a` (")
    for _piece in range(MAX_STATEMENT // 2**20 + 1):
        counter.take(b"x" * 2**20)
    assert counter._rest == b""
    assert counter.rows() is None
    assert "too long" in counter.problem


@settings(max_examples=100, deadline=None)
@given(st.text(HOSTILE, max_size=60), st.lists(st.integers(0, 500), max_size=4))
@example("(/", [len(f"{HEADER}{TABLE}{ROW}(")])
def test_the_same_comes_of_anything_however_it_is_cut(text: str, cuts: list[int]) -> None:
    dump = f"{HEADER}{TABLE}{ROW}{text}".encode()
    assert count(dump, *(cut for cut in cuts if cut < len(dump))) == count(dump)
