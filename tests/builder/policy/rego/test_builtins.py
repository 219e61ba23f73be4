"""Each function, by what OPA's documentation and Go's packages say of it; None where it is undefined."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.policy.module import Module
from builder.policy.rego.builtins import ARITIES, BUILTINS
from builder.policy.rego.evaluate import Evaluator
from builder.policy.rego.faults import RegoError, Undefined
from builder.policy.rego.parser import parse_term
from builder.policy.rego.program import compiled
from builder.policy.rego.values import Obj, Set, Value, as_json, to_plain
from builder.policy.tokens import tokens


def value(expression: str) -> object:
    tree = compiled([Module.read("p", f"package p\nv := {expression}\n".encode())], ARITIES)
    engine = Evaluator(tree, BUILTINS, frozenset(), lambda name, args: (), lambda text: None)
    found = list(engine.value(parse_term(tokens("data.p.v", "q"), "q"), None))
    return to_plain(found[0]) if found else None


NANO = 1_700_000_000_123_456_789
CASES: list[tuple[str, object]] = [
    ("time.date(10000000000000000000)", None), ("time.add_date(1, 100000000, 0, 0)", None), ("0.1 + 0.2", 0.3), ("0.3 - 0.1", 0.2), ("1.1 * 3", 3.3), ("0.3 / 0.1", 3), ("sum([0.1, 0.2, 0.3])", 0.6), ("1 / 3", 1 / 3),
    ("product([0.1, 0.2])", 0.02), ("1e308 * 10", 10**309), ("1e300 + 0.5 > 1e300", False), ("plus(1, 2)", 3), ("minus(1, 2)", -1), ("mul(2, 3)", 6), ("div(7, 2)", 3.5), ("div(6, 2)", 3), ("div(1, 0)", None),
    ("rem(7, 3)", 1), ("rem(-7, 3)", -1), ("rem(7, 0)", None), ("rem(7.5, 2)", None), ('1 + "a"', None), ("true + 1", None),
    ("abs(-2.5)", 2.5), ("ceil(1.1)", 2), ("floor(-1.1)", -2), ("round(2.5)", 3), ("round(-2.5)", -3),
    ("bits.or(6, 1)", 7), ("bits.and(6, 3)", 2), ("bits.xor(6, 3)", 5), ("bits.negate(1)", -2), ("bits.lsh(1, 4)", 16),
    ("bits.rsh(16, 4)", 1),
    ("sum([1, 2.5])", 3.5), ("sum({1, 2})", 3), ("product([2, 3])", 6), ("max([1, 3])", 3), ("min([])", None),
    ('min({"b", "a"})', "a"), ('to_number("1.50")', 1.5), ('to_number("0x1")', None), ("to_number(true)", 1),
    ("to_number(null)", 0), ("format_int(255, 16)", "ff"), ("format_int(5.9, 10)", "5"), ("format_int(1, 3)", None),
    ("numbers.range(3, 1)", [3, 2, 1]), ("numbers.range_step(0, 5, 2)", [0, 2, 4]), ("numbers.range_step(0, 5, 0)", None),
    ('units.parse("10Ki")', 10240), ('units.parse("1.5k")', 1500), ('units.parse("100m")', 0.1), ('units.parse("x")', None),
    ('units.parse("5e1Gi")', 53687091200), ('units.parse("-3.5E2m")', -0.35), ('units.parse(".5k")', 500), ('units.parse("5E")', 5 * 10**18),
    ('units.parse_bytes("1e-2KB")', 10), ('units.parse_bytes(".5KB")', 500), ('units.parse_bytes("5e6")', 5_000_000),
    ('units.parse_bytes("1e99999")', None), ('units.parse_bytes("10MiB")', 10485760), ('units.parse_bytes("1.5kb")', 1500), ('units.parse_bytes("1 kb")', None),
    ('rand.intn("a", 10) == rand.intn("a", 10)', True), ('rand.intn("a", 0)', 0), ('rand.intn("a", -3) < 3', True),
    ('strings.any_prefix_match(["ab", "c"], {"x", "a"})', True), ('strings.any_suffix_match("abc", "b")', False),
    ('strings.count("aXbXc", "X")', 2), ('strings.replace_n({"<": "&lt;", "a": "b"}, "<a")', "&lt;b"),
    ('strings.reverse("aé")', "éa"), ('strings.render_template("{{.a}} {{ .b }}", {"a": "x", "b": 1})', "x 1"),
    ('concat(",", {"b", "a"})', "a,b"), ('concat(",", [1])', None), ('indexof("aéb", "b")', 2), ('indexof("a", "b")', -1),
    ('indexof("a", "")', None), ('indexof_n("abab", "b")', [1, 3]), ('substring("abc", 1, -1)', "bc"),
    ('substring("abc", 5, 1)', ""), ('substring("abc", -1, 1)', None), ('lower("ÄB")', "äb"), ('upper("äb")', "ÄB"),
    ('contains("abc", "bc")', True), ('startswith("abc", "b")', False), ('endswith("abc", "bc")', True),
    ("startswith(1, 2)", None), ('split("a.b.", ".")', ["a", "b", ""]), ('split("ab", "")', ["a", "b"]),
    ('replace("aaa", "a", "b")', "bbb"), ('trim("xxaxx", "x")', "a"), ('trim_left("xxax", "x")', "ax"),
    ('trim_right("xaxx", "x")', "xa"), ('trim_prefix("v1", "v")', "1"), ('trim_suffix("a.git", ".git")', "a"),
    ('trim_space(" a\\n")', "a"), ('sprintf("%s %d %5.2f|%-4s|%04d %x %%", ["a", 1, 2.345, "b", 7, 255])',
    "a 1  2.35|b   |0007 ff %"), ('sprintf("%v %v", [{"a": [1]}, {2}])', '{"a": [1]} {2}'),
    ('sprintf("%q", ["a\\"b"])', '"a\\"b"'), ('sprintf("%v %v %f", [true, 1.5, 0.5])', "true 1.5 0.500000"),
    ('sprintf("%x %q", ["ab", [1]])', '6162 "[1]"'), ('sprintf("%.2s|%6v|%-6v|%+d", ["abc", "d", null, 3])', "ab|     d|null  |+3"),
    ('sprintf("%v", [12345678901234567890])', "12345678901234567890"),
    ('lower("İΑΣ")', "iας"[:2] + "σ"), ('upper("ßaᾳ")', "ßAᾼ"), ('trim_space("\\u00a0a\\u001c")', "a\x1c"),
    ('regex.split("a*", "baac")', ["b", "c"]), ('regex.split("a", "")', [""]), ('regex.replace("baac", "a*", "x")', "xbxcx"),
    ('object.get({"a": 1}, ["a", "b"], 2)', 2), ('object.get({"a": {"b"}}, ["a", "b"], 2)', "b"), ("object.get([1], 0, 2)", None),
    ('regex.is_valid("(")', False), ('regex.is_valid("(?=a)")', False), ('regex.match("^a+$", "aaa")', True),
    ('regex.match("a$", "a\\n")', False), (r'regex.match(`^\p{L}+$`, "éa")', True), ('regex.match("[[:digit:]]", "a")', False),
    ('regex.globs_match("a.a.[0-9]+z", ".b.b2359825792*594823z")', True), ('regex.globs_match("[a-z]+", "[0-9]*")', False),
    (r'regex.globs_match(`[a-z]+\[[0-9]+\]`, "foo\\[1\\]")', True), ('regex.globs_match("pqrs]", "[a-b]+")', None),
    ('regex.globs_match("a+", "aa")', True), ('regex.globs_match("a", "b")', False), ('regex.globs_match("*a", "a")', None),
    ('regex.globs_match("[b-a]", "a")', None), ('regex.globs_match("[ab", "a")', None), ('regex.globs_match("a*b", "b")', True),
    ('regex.match("(", "a")', None), ('regex.split("[,;]", "a,b;c")', ["a", "b", "c"]),
    ('regex.find_n("a.", "abacad", 2)', ["ab", "ac"]), ('regex.find_n("a.", "abacad", -1)', ["ab", "ac", "ad"]),
    ('regex.find_all_string_submatch_n("(a)(x)?", "ab", -1)', [["a", "a", ""]]),
    ('regex.replace("foo bar", "(o+) (b)", "$2-${1}$$")', "fb-oo$ar"),
    ('regex.template_match("urn:{[a-z]+}:1", "urn:ab:1", "{", "}")', True),
    ('regex.template_match("urn:{[a-z]+}:1", "urn:aB:1", "{", "}")', False),
    ('glob.match("*.github.com", [], "api.github.com")', True), ('glob.match("*.com", [], "a.github.com")', False),
    ('glob.match("**.com", [], "a.github.com")', True), ('glob.match("*.com", null, "a.github.com")', True),
    ('glob.match("{a,b}[1-3]?", [], "b2x")', True), ('glob.match("[!a]", [], "a")', False),
    ('glob.match("a/*", ["/"], "a/b/c")', False), ('glob.quote_meta("a*b")', "a\\*b"),
    ("or({1}, {2})", [1, 2]), ("and({1, 2}, {2})", [2]), ("{1, 2} - {2}", [1]), ("[1] | [2]", None),
    ("internal.member_2(2, [1, 2])", True), ("internal.member_3(0, 1, [1, 2])", True),
    ('count("aé")', 2), ("count({1, 2})", 2), ('count({"a": 1})', 1), ("count(1)", None),
    ('sort(["b", "a", 1, null, true])', [None, True, 1, "a", "b"]),
    ("array.concat([1], [2])", [1, 2]), ("array.flatten([1, [2, [3]]])", [1, 2, [3]]), ("array.slice([1, 2, 3], 1, 9)", [2, 3]),
    ("array.reverse([1, 2])", [2, 1]), ("intersection({{1, 2}, {2, 3}})", [2]), ("union({{1}, {2}})", [1, 2]),
    ('object.union({"a": {"b": 1}}, {"a": {"c": 2}})', {"a": {"b": 1, "c": 2}}),
    ('object.union_n([{"a": 1}, {"a": 2}])', {"a": 2}), ('object.remove({"a": 1, "b": 2}, ["a"])', {"b": 2}),
    ('object.filter({"a": 1, "b": 2}, {"a"})', {"a": 1}), ('object.get({"a": {"b": 1}}, ["a", "b"], 0)', 1),
    ('object.get({"a": 1}, "x", 0)', 0), ('object.keys({"b": 1, "a": 2})', ["a", "b"]),
    ('object.subset({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}})', True), ("object.subset([1, 2, 3], [2, 3])", True),
    ("object.subset({1, 2}, {3})", False),
    ('json.filter({"a": {"b": 1, "c": 2}, "d": 3}, ["a/b"])', {"a": {"b": 1}}),
    ('json.remove({"a": {"b": 1, "c": 2}, "d": 3}, ["a/b", "d"])', {"a": {"c": 2}}),
    ('json.patch({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}, {"op": "remove", "path": "a/0"}])', {"a": [2]}),
    ('json.patch({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}])', {"b": 1}),
    ('json.patch({"a": 1}, [{"op": "test", "path": "/a", "value": 2}])', None),
    ('json.patch({"a": 1}, [{"op": "replace", "path": "/x", "value": 2}])', None),
    ('json.patch({"a": 1}, [{"op": "copy", "from": "/x", "path": "/b"}])', None),
    ('glob.match("*a*a*a*a*a*a*a*a*a*a*b", [], concat("", ["a" | numbers.range(1, 5000)[_]]))', False),
    ('glob.match("a.b-é[!x]", [], "a.b-éy\\n")', False), ('glob.match("[", [], "a")', None),
    ('json.marshal({"b": [1.0, "é<"], "a": {2, 1}})', '{"a":[1,2],"b":[1,"é<"]}'),
    ('json.marshal_with_options({"a": 1}, {"pretty": true, "indent": "  "})', '{\n  "a": 1\n}'),
    ('json.unmarshal("{\\"a\\": [1, null]}")', {"a": [1, None]}), ('json.unmarshal("NaN")', None), ('json.is_valid("{")', False),
    ('base64.encode("é")', "w6k="), ('base64.decode("w6k=")', "é"), ('base64.decode("w6k")', None), ('base64.is_valid("YQ==")', True),
    ('base64url.encode("??>")', "Pz8-"), ('base64url.encode_no_pad("a")', "YQ"), ('base64url.decode("YQ")', "a"),
    ('hex.encode("a")', "61"), ('hex.decode("6g")', None), ('hex.decode("61")', "a"), ('urlquery.encode("a b&é")', "a+b%26%C3%A9"),
    ('urlquery.decode("a+b%26")', "a b&"), ('urlquery.encode_object({"b": ["1", "2"], "a": "x y"})', "a=x+y&b=1&b=2"),
    ('urlquery.decode_object("a=1&a=2&b=")', {"a": ["1", "2"], "b": [""]}),
    ('yaml.marshal({"a": [1, "x"]})', "a:\n- 1\n- x\n"), ('yaml.unmarshal("a: [1, 2024-01-01]")', {"a": [1, "2024-01-01"]}),
    ('yaml.unmarshal("a: &x [1]\\nb: *x")', None), ('yaml.is_valid("a: [")', False),
    ("equal(1, 1.0)", True), ("eq([1], [1])", True), ("true == 1", False), ("neq({1}, {1})", False), ('lt("a", "b")', True),
    ("lte(2, 1)", False), ("gt([1], [0, 5])", True), ("gte(null, false)", False), ('"1" > 1', True),


    ("is_number(1)", True), ("is_string(1)", False), ("is_boolean(true)", True), ("is_number(true)", False), ("is_array([])", True),
    ("is_set(set())", True), ("is_object({})", True), ("is_null(null)", True), ("type_name({1})", "set"), ("type_name(true)", "boolean"),
    ('uuid.rfc4122("a") == uuid.rfc4122("a")', True), ('uuid.parse("00000000-0000-4000-8000-000000000000").version', 4),
    ('semver.is_valid("1.2.3-rc.1+b")', True), ('semver.is_valid("v1.2.3")', False), ('semver.compare("1.10.2", "1.9.0")', 1),
    ('semver.compare("1.0.0-rc.2", "1.0.0-rc.10")', -1), ('semver.compare("1.0.0-rc", "1.0.0")', -1),
    ('semver.compare("1.0.0+a", "1.0.0+b")', 0), ('semver.compare("1.0", "1.0.0")', None),
    ("time.now_ns() > 1700000000000000000", True), ('time.parse_rfc3339_ns("1970-01-01T01:00:01.5+01:00")', 1_500_000_000),
    ('time.parse_rfc3339_ns("1970-01-01")', None), ('time.parse_ns("2006-01-02 15:04", "1970-01-02 00:01")', 86_460_000_000_000),
    ('time.parse_duration_ns("1h2m3.5s")', 3_723_500_000_000), ('time.parse_duration_ns("-1ms")', -1_000_000),
    ('json.patch({"a": {"x"}}, [{"op": "add", "path": "a/y", "value": "y"}])', {"a": ["x", "y"]}),
    ('json.patch({"a": {"x", "y"}}, [{"op": "remove", "path": "a/y"}])', {"a": ["x"]}),
    ('json.patch({"a": {"x"}}, [{"op": "add", "path": "a/y", "value": "z"}])', None),
    ('json.patch({[1]}, [{"op": "add", "path": [[1], 1], "value": 2}])', [[1, 2]]),
    ('json.patch({"a": {}}, [{"op": "add", "path": "/a/", "value": 2}])', {"a": {"": 2}}),
    ('json.patch([1], [{"op": "add", "path": "/0"}])', None), ('json.patch([1], [{"op": "test", "path": "/3", "value": 1}])', None),
    ('json.patch([1], [{"op": "remove", "path": "/01"}])', None), ('json.patch({"a": 1}, [{"op": "nothing", "path": "/a"}])', None),
    ('json.marshal_with_options([], {"indent": " ", "prefix": "-"})', "-[]"), ('json.marshal_with_options([1], {"prefix": "-"})', "-[\n-\t1\n-]"),
    ('json.marshal_with_options([], {"nothing": true})', None), ('json.marshal_with_options([], {"pretty": 1})', None),
    ('strings.render_template("{{.a}} {{.b}} {{.c}}", {"b": 1, "c": true})', "<undefined> 1 true"),
    ('object.subset({"a": {"b": [1, 2], "c": {3, 4}}}, {"a": {"b": [1], "c": {4}}})', True),
    ('object.subset({"a": {"b": [1, 2]}}, {"a": {"b": {1}}})', False),
    ('urlquery.decode_object("a=b&c")', {"a": ["b"], "c": [""]}), ('urlquery.decode_object("a=%zz")', None),
    ('urlquery.decode_object("a;b")', None), ('urlquery.decode("%f")', None),
    ('uuid.parse("000003e8-48b9-21ee-b200-325096b39f47").time', 1693566990121469600),
    ('uuid.parse("000003e8-48b9-21ee-b200-325096b39f47").domain', "Person"),
    ('uuid.parse("000003e8-48b9-21ee-b200-325096b39f47").nodeid', "32-50-96-b3-9f-47"),
    ('time.parse_rfc3339_ns("1677-09-21T00:12:43.145224192-00:00")', -(2**63)),
    ('time.parse_rfc3339_ns("1677-09-21T00:12:43.145224191-00:00")', None),
    ('time.parse_duration_ns("1")', None), (f"time.format({NANO})", "2023-11-14T22:13:20.123456789Z"),
    (f"time.date({NANO})", [2023, 11, 14]), (f'time.clock([{NANO}, "UTC"])', [22, 13, 20]), (f"time.weekday({NANO})", "Tuesday"),
    (f"time.add_date({NANO}, 0, 1, 1)", NANO + 31 * 86_400_000_000_000), (f"time.diff({NANO}, 1600000000000000000)", [3, 2, 1, 9, 46, 40]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "wanted"), CASES)
def test_functions(expression: str, wanted: object) -> None:
    found = value(expression)
    assert found == wanted
    assert isinstance(found, bool) is isinstance(wanted, bool)


def test_none_is_left_out() -> None:
    words = " ".join(expression for expression, _ in CASES)
    assert {name for name in BUILTINS if not re.search(rf"(?<![\w.]){re.escape(name)}\(", words)} == set()


@pytest.mark.parametrize(
    "expression",
    [
        'sprintf("%5d", ["a"])', 'sprintf("%c", [65])', 'sprintf("%", [])', 'sprintf("%20000d", [1])', 'to_number("+1")', 'to_number(".5")',
        "format_int(-5.5, 10)", "1e-300 * 1e-300", 'json.unmarshal("1e400")', 'to_number("1e400")', 'base64.decode("/w==")', 'hex.decode("ff")', 'urlquery.decode("%ff")', 'urlquery.decode_object("a=%ff")',
        'regex.globs_match("a*", "b*")', 'strings.render_template("{{.a}}", {"a": [1]})',
        "numbers.range(1, 1000000000)", "bits.lsh(1, 1000000)", 'time.clock([1, "Europe/Paris"])',
        'time.format([1, "UTC", "2006"])', 'time.parse_ns("MST", "UTC")', 'strings.render_template("{{if .a}}{{end}}", {})',
        'replace(concat("", ["x" | numbers.range(1, 3000)[_]]), "x", concat("", ["y" | numbers.range(1, 3000)[_]]))',
    ],
)  # fmt: skip
def test_what_is_not_known_or_too_much_is_an_error(expression: str) -> None:
    with pytest.raises(RegoError, match="eval_builtin_error"):
        value(expression)


KINDS: tuple[Value, ...] = (
    None, True, 0, -1, 2.5, 10**20, "", "a", "1", "/a", (), (1,), ("a", "b"), Obj(), Obj([("a", 1)]), Set(), Set(["a"]),
    ((1, 2),), (Obj([("op", "add"), ("path", "/a"), ("value", 1)]),),
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(BUILTINS))
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_arguments_of_any_kind(name: str, data: st.DataObject) -> None:
    count = ARITIES[name]
    assert count is not None
    args = [data.draw(st.sampled_from(KINDS)) for _ in range(count)]
    try:
        found = BUILTINS[name](*args)
    except (Undefined, RegoError, ValueError, LookupError):  # the first two, and what the evaluator takes for Undefined
        return
    as_json(found)
