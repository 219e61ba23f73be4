"""What policies have besides the language: functions that buildx adds, and its helper rules."""

from __future__ import annotations

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
