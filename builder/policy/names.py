"""What a policy may call, and which modules it sees: OPA's functions as buildx grants them, its own, helper rules."""

from __future__ import annotations

BUILTINS = frozenset((
    "count", "sum", "product", "max", "min", "any", "all", "array.concat", "array.flatten", "array.slice",
    "array.reverse", "to_number", "cast_object", "cast_null", "cast_boolean", "cast_string", "cast_set", "cast_array",
    "regex.is_valid", "regex.match", "re_match", "regex.split", "regex.globs_match", "regex.template_match",
    "regex.find_n", "regex.find_all_string_submatch_n", "regex.replace", "intersection", "union",
    "strings.any_prefix_match", "strings.any_suffix_match", "strings.count", "strings.replace_n", "strings.reverse",
    "strings.render_template", "concat", "format_int", "indexof", "indexof_n", "substring", "lower", "upper",
    "contains", "startswith", "endswith", "split", "replace", "trim", "trim_left", "trim_prefix", "trim_right",
    "trim_suffix", "trim_space", "sprintf", "numbers.range", "numbers.range_step", "rand.intn", "ceil", "floor",
    "round", "abs", "rem", "plus", "minus", "mul", "div", "eq", "equal", "neq", "gt", "gte", "lt", "lte", "and", "or",
    "bits.or", "bits.and", "bits.negate", "bits.xor", "bits.lsh", "bits.rsh", "json.marshal",
    "json.marshal_with_options", "json.unmarshal", "json.is_valid", "json.filter", "json.remove", "json.patch",
    "base64.encode", "base64.decode", "base64.is_valid", "base64url.encode", "base64url.encode_no_pad",
    "base64url.decode", "urlquery.decode", "urlquery.encode", "urlquery.encode_object", "urlquery.decode_object",
    "yaml.marshal", "yaml.unmarshal", "yaml.is_valid", "hex.encode", "hex.decode", "object.union", "object.union_n",
    "object.remove", "object.filter", "object.get", "object.keys", "object.subset", "time.now_ns", "time.parse_ns",
    "time.parse_rfc3339_ns", "time.parse_duration_ns", "time.format", "time.date", "time.clock", "time.weekday",
    "time.add_date", "time.diff", "sort", "is_number", "is_string", "is_boolean", "is_array", "is_set", "is_object",
    "is_null", "type_name", "glob.match", "glob.quote_meta", "units.parse", "units.parse_bytes", "uuid.rfc4122",
    "uuid.parse", "semver.is_valid", "semver.compare", "print",
))  # fmt: skip
"""buildx's policy/builtins.go. There is no http.send, opa.runtime, net or io."""

FUNCTIONS = {
    "load_json": 1,
    "pin_image": 2,
    "verify_git_signature": 2,
    "verify_http_pgp_signature": 3,
    "artifact_attestation": 2,
    "github_attestation": 2,
}
"""buildx's own functions (policy/funcs.go), and how many arguments each takes."""

HELPERS_NAME = "builtin/buildx_defaults.rego"
HELPERS = """package docker

docker_github_builder_signature(sig, repo) if {
	sig.type == "bundle-v0.3"
	sig.kind == "docker-github-builder"
	count(sig.timestamps) > 0
	who := sig.signer
	who.certificateIssuer == "CN=sigstore-intermediate,O=sigstore.dev"
	who.issuer == "https://token.actions.githubusercontent.com"
	who.runnerEnvironment == "github-hosted"
	who.sourceRepositoryURI == concat("/", ["https://github.com", repo])
}

docker_github_builder(image, repo) if {
	image.hasProvenance
	some sig in image.signatures
	docker_github_builder_signature(sig, repo)
}

docker_github_builder_tag(image, repo, tag) if {
	docker_github_builder(image, repo)
	wanted := concat("", ["refs/tags/", tag])
	some sig in image.signatures
	sig.signer.sourceRepositoryRef == wanted
}

docker_github_builder_bundle(http, filename, repo) if {
	docker_github_builder_signature(artifact_attestation(http, filename), repo)
}

github_release_attestation(http) := sig if {
	lower(http.host) == "github.com"
	http.schema == "https"
	parts := regex.find_all_string_submatch_n(`^/([^/]+/[^/]+)/releases/download/[^/]+/.+$`, http.path, 1)
	sig := github_attestation(http, parts[0][1])
}
"""
"""Rules that every policy finds in its package docker, with the names and meaning of buildx's policy/builtins.rego."""


def companion(package: tuple[str, ...], mark: str, taken: frozenset[str]) -> str:
    """A module that makes FUNCTIONS callable in a package, but those whose names it has itself.

    The engine has no functions of ours. Each is a rule that prints its call, behind a mark that nobody can guess, and
    looks its answer up: in the data at `mark`, an array of one value by the call's text, nothing where there is none.
    """
    rules = [f"package {'.'.join(package)}\n"]
    for name, count in FUNCTIONS.items():
        if name in taken:
            continue
        arguments = ", ".join(f"a{n}" for n in range(count))
        rules.append(
            f'{name}({arguments}) := answer if {{\n\tcall := base64.encode(json.marshal(["{name}", {arguments}]))\n'
            f'\tprint("{mark}", call)\n\tanswer := data.{mark}[call][0]\n}}\n'
        )
    return "\n".join(rules)
