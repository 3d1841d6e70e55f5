# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The readers of configuration files: what they understand, and that nothing makes them break."""

from __future__ import annotations

import contextlib
import time

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils import _discovery_parse as parse
from hypothesis import example, given, settings
from hypothesis import strategies as st

UNKNOWN = parse.UNKNOWN


class TestShell:
    @pytest.mark.parametrize(
        ("script", "values"),
        [
            ("A=b", {"A": "b"}),
            ("A='b c' B=\"d $A\"", {"A": "b c", "B": "d b c"}),
            ("export A=b C", {"A": "b"}),
            ("readonly A=b; declare -x B=c", {"A": "b", "B": "c"}),
            ("A=b # comment\n# B=c", {"A": "b"}),
            ("A=b#c", {"A": "b#c"}),
            ("A=b\\\nc", {"A": "bc"}),
            ("A='multi\nline'", {"A": "multi\nline"}),
            ("A=\\$x\\ y", {"A": "$x y"}),
            ('A="\\$x \\a"', {"A": "$x \\a"}),
            ("A='$x'", {"A": "$x"}),
            ("A=1; A+=2", {"A": "12"}),
            ("A=${B:-c}${D-e}", {"A": "ce"}),
            ("B=; A=${B:-c}${B-e}", {"B": "", "A": "c"}),
            ("A=${B:+c}; D=1; E=${D:+f}", {"A": "", "D": "1", "E": "f"}),
            (": ${A:=b} ${A:=c}", {"A": "b"}),
            ("A=${B:-${C:-d}}", {"A": "d"}),
            ('A="${B:-"x y"}"', {"A": "x y"}),
            ("A=`date`", {"A": UNKNOWN}),
            ('A="/x/$(hostname -f)/y"', {"A": f"/x/{UNKNOWN}/y"}),
            ("A=${B%/*}", {"A": UNKNOWN}),
            ("A=$1$?", {"A": UNKNOWN * 2}),
            ("A=b echo hello", {}),
            ("A=1; unset A", {"A": ""}),
            ("A=1\nexit 0\nA=2", {"A": "1"}),
            ("cat <<END\nA=b\nEND\nB=c", {"B": "c"}),
            ("cat <<-'END' >x\n\tA=b\n\tEND\nB=c", {"B": "c"}),
            ("A=b >/dev/null 2>&1", {}),
            ("echo x 2>&1 && A=1", {"A": "1"}),
            ("(A=b); B=c", {"B": "c"}),
            ("f() { A=b; }\nB=c", {"B": "c"}),
            ("function f {\nA=b\n}\nB=c", {"B": "c"}),
            ("{ A=b; }; B=c", {"A": "b", "B": "c"}),
            ("echo x | A=b; B=c", {"B": "c"}),
            ("A=$", {"A": "$"}),
            ("", {}),
        ],
    )
    def test_values(self, script: str, values: dict[str, str]) -> None:
        assert parse.parse_shell(script).values == values

    @pytest.mark.parametrize(
        ("script", "value"),
        [
            ('if [ -n "$X" ]; then A=yes; else A=no; fi', "no"),
            ('if [ -z "$X" ]; then A=yes; else A=no; fi', "yes"),
            ('if [ "$X" = "" ]; then A=yes; fi', "yes"),
            ('if [ "x$X" != "x" ]\nthen\nA=yes\nelse\nA=no\nfi', "no"),
            ('if [ "$X" ]; then A=1; elif [ -z "$Y" ]; then A=2; else A=3; fi', "2"),
            ("if [[ $X == 1 ]]; then A=1; elif [[ -n $Y ]]; then A=2; else A=3; fi", "3"),
            ('[ -z "$X" ] && A=1', "1"),
            ('[ -n "$X" ] || A=1', "1"),
            ('A=0; [ -n "$X" ] && A=1', "0"),
            ('A=0; if [ -n "$X" ]; then if [ -z "$Y" ]; then A=1; fi; fi', "0"),
            ('if [ -z "$X" ] && [ -n "$Y" ]; then A=1; else A=2; fi', "2"),
            ('if [ ! -z "$X" ]; then A=1; else A=2; fi', "2"),
            ('if test -z "$X"; then A=1; fi', "1"),
        ],
    )
    def test_tests_on_variables(self, script: str, value: str) -> None:
        assert parse.parse_shell(script).certain("A") == value

    @pytest.mark.parametrize(
        "script",
        [
            "if [ -f /etc/x ]; then A=1; fi",
            "if grep -q x y; then A=1; else A=2; fi",
            'case "$1" in start) A=1;; *) A=2;; esac',
            "for x in 1 2; do A=$x; done",
            "while read x; do A=1; done",
            "grep -q x y && A=1",
            "A=$(cat /etc/x)",
            "if [ $? -eq 0 ]; then :; else A=1; fi",
            "if [ -f x ]; then B=1; fi; A=$B",
            'if [ -f x ]; then B=1; fi; if [ -n "$B" ]; then A=1; fi',
            "! true && A=1",
        ],
    )
    def test_what_cannot_be_told(self, script: str) -> None:
        result = parse.parse_shell(script)
        assert "A" in result.values
        assert result.certain("A") is None

    def test_environment(self) -> None:
        result = parse.parse_shell("A=$B/x; B=${B:-no}", {"B": "/y"})
        assert result.values == {"A": "/y/x", "B": "/y"}

    def test_later_certain_value_wins(self) -> None:
        assert parse.parse_shell("if x; then A=1; fi; A=2").certain("A") == "2"

    def test_not_set(self) -> None:
        assert parse.parse_shell("A=1").certain("B") is None

    def test_sourced(self) -> None:
        assert parse.parse_shell('. /etc/default/x\nsource "$(dirname $0)/y.sh"').sourced == [
            "/etc/default/x",
            "…/y.sh",
        ]

    @pytest.mark.parametrize("script", ["A='x", 'A="x', "A=`x", "A=$(x", "A=${x", 'A="${x"'])
    def test_cut_off(self, script: str) -> None:
        with pytest.raises(parse.ParseError, match="line 2: a quote or substitution does not end"):
            parse.parse_shell("B=1\n" + script)

    @pytest.mark.parametrize(
        "script",
        [
            "A=xxxxxxxxxxxxxxxx\n" + 'A="$A$A$A$A$A$A$A$A"\n' * 40,
            "A=" + "${A:-" * 20000 + "}" * 20000,
            "A=" + "$(" * 20000,
            "if x; then " * 20000,
            "then " * 60000,
            "{ " * 60000,
            "((((" * 20000,
            "a=1;" * 60000,
            "cat <<E\n" * 20000,
            "'" * 200001,
            "\\" * 200001,
            "A=" + "'x'" * 60000,
            "echo " + "$A" * 100000,
            "if " * 30000,
            ") " * 60000,
            "( " * 59 + ") " * 60000,
        ],
        ids=range(16),
    )
    def test_bounded(self, script: str) -> None:
        # Generous: what is not bounded takes minutes or all memory.
        begin = time.process_time()
        with contextlib.suppress(parse.ParseError):
            parse.parse_shell(script)
        assert time.process_time() - begin < 20

    @settings(max_examples=300)
    @given(st.text(alphabet=st.sampled_from("Aab01 \t\n='\"`$(){}[]|&;<>#\\:-+%!*~/if then else fi"), max_size=120))
    @example("A=${A:=${A:=${A}}}")
    @example("$'")
    def test_only_its_own_error(self, script: str) -> None:
        try:
            result = parse.parse_shell(script, {"A": "1"})
        except parse.ParseError:
            return
        assert all(isinstance(value, str) for value in result.values.values())

    @settings(max_examples=100)
    @given(st.text(alphabet=st.characters(blacklist_characters="'\x00"), max_size=60))
    def test_single_quotes_are_literal(self, text: str) -> None:
        assert parse.parse_shell(f"A='{text}'").certain("A") == text

    @settings(max_examples=200)
    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        with contextlib.suppress(parse.ParseError):
            parse.parse_shell(parse.text_of(data))


class TestProperties:
    @pytest.mark.parametrize(
        ("text", "values"),
        [
            ("a=b", {"a": "b"}),
            (" a : b ", {"a": "b "}),
            ("a b c", {"a": "b c"}),
            ("a\n! x\n# y\n\nb=", {"a": "", "b": ""}),
            ("a=b\\\n   c", {"a": "bc"}),
            ("a\\=b=c\\td", {"a=b": "c\td"}),
            ("a=\\u0041\\\\", {"a": "A\\"}),
            ("a=1\ra=2", {"a": "2"}),
            ("a=b\\", {"a": "b"}),
            ("jira.home = C\\:/x", {"jira.home": "C:/x"}),
        ],
    )
    def test_values(self, text: str, values: dict[str, str]) -> None:
        assert parse.parse_properties(text) == values

    def test_bad_escape(self) -> None:
        with pytest.raises(parse.ParseError, match="four hexadecimal digits"):
            parse.parse_properties("a=\\u12")

    @settings(max_examples=300)
    @given(st.binary(max_size=200))
    def test_only_its_own_error(self, data: bytes) -> None:
        try:
            values = parse.parse_properties(parse.text_of(data))
        except parse.ParseError:
            return
        for value in values.values():
            value.encode("utf-8")

    @settings(max_examples=100)
    @given(
        st.dictionaries(
            st.from_regex(r"[a-z.]{1,10}", fullmatch=True), st.from_regex(r"[a-zA-Z0-9/._]{0,20}", fullmatch=True)
        )
    )
    def test_round_trip(self, values: dict[str, str]) -> None:
        assert parse.parse_properties("".join(f"{key} = {value}\n" for key, value in values.items())) == values


class TestUnit:
    def test_values(self) -> None:
        text = "# c\n[Unit]\nDescription = x\n; d\n[Service]\nExecStart=a \\\n# inside\n  b\nUser=\nnonsense\n"
        assert parse.parse_unit(text) == [
            ("Unit", "Description", "x"),
            ("Service", "ExecStart", "a  b"),
            ("Service", "User", ""),
        ]

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("a b", ["a", "b"]),
            ('"A=b c" D=e', ["A=b c", "D=e"]),
            ("'a b'c", ["a bc"]),
            ("a\\ b", ["a b"]),
            ('""', [""]),
            ('"unfinished x', ["unfinished x"]),
            ("  ", []),
            ("a\\", ["a\\"]),
        ],
    )
    def test_words(self, value: str, words: list[str]) -> None:
        assert parse.split_words(value) == words

    def test_environment(self) -> None:
        assert parse.parse_environment(["A=b=c", "1=x", "x", "=y", "B="]) == {"A": "b=c", "B": ""}

    def test_environment_file(self) -> None:
        text = "# c\n; d\nA=b c\nexport B='x y'\nC=\"$A\"\nD=1\\\n2\nbad name=1\nE\n"
        assert parse.parse_environment_file(text) == {"A": "b c", "B": "x y", "C": "$A", "D": "12"}

    @settings(max_examples=300)
    @given(st.text(alphabet=st.sampled_from("[]=\\\n#; aB'\"%$"), max_size=100))
    def test_never_fails(self, text: str) -> None:
        for _section, key, value in parse.parse_unit(text):
            assert "\n" not in key
            parse.split_words(value)
        parse.parse_environment_file(text)


class TestXml:
    def test_elements(self) -> None:
        root = parse.parse_xml(
            b'<?xml version="1.0" encoding="utf-8"?><a x="1"><!-- c --><b>t &lt;&#65; \xc3\xa4</b></a>'
        )
        assert (root.tag, root.get("x"), root.findtext("b")) == ("a", "1", "t <A \xe4")

    @pytest.mark.parametrize(
        "data",
        [
            b"<!DOCTYPE a><a/>",
            b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
            b'<!DOCTYPE a PUBLIC "x" "http://example.com/x.dtd"><a/>',
            b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>',
            b'<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><a/>',
            b'<!DOCTYPE l [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><l>&b;</l>',
            b"<a>&undefined;</a>",
            '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>'.encode("utf-16"),
        ],
    )
    def test_declarations_and_entities_are_refused(self, data: bytes) -> None:
        with pytest.raises(parse.ParseError, match="document type declaration or entities, refused"):
            parse.parse_xml(data)

    @pytest.mark.parametrize(
        "data", [b"", b"<a>", b"<a></b>", b"<a/><b/>", b"text", b"<a x=1/>", b"\xff\xfe", b"<a>\x00</a>"]
    )
    def test_not_well_formed(self, data: bytes) -> None:
        with pytest.raises(parse.ParseError, match=r"line \d+: not well-formed XML"):
            parse.parse_xml(data)

    @pytest.mark.parametrize(
        "encoding", ["nonsense", "rot13", "base64", "idna", "utf-7", "unicode_escape", "zlib", "big5"]
    )
    def test_odd_encodings(self, encoding: str) -> None:
        with contextlib.suppress(parse.ParseError):
            parse.parse_xml(f'<?xml version="1.0" encoding="{encoding}"?><a>x</a>'.encode())

    def test_message_quotes_nothing(self) -> None:
        with pytest.raises(parse.ParseError) as error:
            parse.parse_xml(b"<a><password>hunter2</password>")
        assert "hunter2" not in str(error.value)

    @pytest.mark.parametrize("data", [b"<a>" * 1000, b"<a>" + b"<b/>" * 100000 + b"</a>"])
    def test_bounded(self, data: bytes) -> None:
        with pytest.raises(parse.ParseError, match="too many or too deeply nested"):
            parse.parse_xml(data)

    @settings(max_examples=300)
    @given(st.one_of(st.binary(max_size=100), st.text(alphabet="<>/&;!?ab=\"'[] DOCTYPE", max_size=80).map(str.encode)))
    def test_only_its_own_error(self, data: bytes) -> None:
        with contextlib.suppress(parse.ParseError):
            parse.parse_xml(data)


class TestJvm:
    @pytest.mark.parametrize(
        ("words", "arguments", "class_path", "main"),
        [
            ("-Xmx1g -cp a:b -Dx=1 org.Main -Dno=1", ["-Xmx1g", "-Dx=1"], ["a", "b"], "org.Main"),
            ("-classpath /s.jar:/d.jar -Xss2m synchrony.core sql", ["-Xss2m"], ["/s.jar", "/d.jar"], "synchrony.core"),
            ("--class-path=a::b Main", [], ["a", "b"], "Main"),
            ("-cp a -cp b Main", [], ["b"], "Main"),
            ("-Dx -cp y.jar -jar x.jar -Dy", ["-Dx"], ["x.jar"], "x.jar"),
            ("--module-path lib -p more --add-modules ALL -m my/Main -Dy", ["--add-modules=ALL"], [], "my/Main"),
            ("--add-opens a/b=ALL --add-opens=c=ALL Main", ["--add-opens=a/b=ALL", "--add-opens=c=ALL"], [], "Main"),
            ("@/etc/jvm.options -Dx=1 Main @rest", ["-Dx=1"], [], "Main"),
            ("-Dx -cp", ["-Dx"], [], ""),
            ("-jar", [], [], ""),
            ("", [], [], ""),
        ],
    )  # fmt: skip
    def test_command(self, words: str, arguments: list[str], class_path: list[str], main: str) -> None:
        assert parse.jvm_command(["/bin/java", *words.split()]) == (arguments, class_path, main)

    def test_part_of_a_command(self) -> None:
        words = ["java", "-Xmx1g", "x", "-classpath", "a:b", "-Dx=1", "y"]
        assert parse.jvm_command(words, whole=False) == (["-Xmx1g", "-Dx=1"], ["a", "b"], "")

    def test_no_words(self) -> None:
        assert parse.jvm_command([]) == ([], [], "")

    def test_properties(self) -> None:
        assert parse.jvm_properties(["-Dx=1", "-Dx=2=3", "-Xmx1", "-Dy"]) == {"x": "2=3", "y": ""}

    @pytest.mark.parametrize(
        "argument",
        [
            "-Djavax.net.ssl.keyStorePassword=hunter2",
            "-Dmy.passwd=hunter2",
            "-Ddb.pwd=hunter2",
            "-Datlassian.recovery.password=hunter2",
            "-Dapi.token=hunter2",
            "-Dclient_secret=hunter2",
            "-DCREDENTIAL=hunter2",
            "-Dapi-key=hunter2",
            "-Durl=jdbc:postgresql://jira:hunter2@db/jira",
            "-Durl=jdbc:sqlserver://db;user=jira;password=hunter2;x=y",
            "-Dhttp.proxy=http://u:hunter2@proxy:3128/",
            "-javaagent:/opt/agent.jar=server=x,token=hunter2",
            "-javaagent:/opt/agent.jar=password=hunter2",
        ],
    )
    def test_secrets_are_replaced(self, argument: str) -> None:
        (shown,) = parse.redact([argument])
        assert "hunter2" not in shown
        assert "********" in shown

    @pytest.mark.parametrize(
        "argument",
        [
            "-Xmx2g",
            "-Djira.home=/var/x",
            "-Datlassian.pats.max.tokens.expiry.days=90",
            "-Dsecret.enabled=true",
            "-Dapi.token=",
            "-Dhttp.proxyHost=proxy.example.com",
            "-Xlog:gc*:file=/x/gc-%t.log:tags,time,uptime,level:filecount=5",
            "-Djira.maximum.authentication.attempts.allowed=99999",
            "-Dupm.plugin.upload.enabled=true",
        ],
    )
    def test_the_rest_stays(self, argument: str) -> None:
        assert parse.redact([argument], ["atlassian.pats.*"]) == [argument]

    @settings(max_examples=200)
    @given(st.lists(st.text(max_size=40), max_size=5))
    def test_never_fails(self, arguments: list[str]) -> None:
        shown = parse.redact(arguments, ["a.*"])
        assert len(shown) == len(arguments)
        assert all(isinstance(word, str) for word in shown)
