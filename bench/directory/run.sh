#!/bin/sh
# Compares a directory of a million users as documents with the tables of commit
# 5a40820, on SQLite and PostgreSQL, in interleaved rounds: list a page of 200,
# search by prefix, who has a role, edit a role held by 10,000.
#   sh bench/directory/run.sh [ROUNDS]
set -eu
cd "$(dirname "$0")/../.."
here=$PWD
old=$(mktemp -d)
trap 'git worktree remove --force "$old/tree"; rm -rf "$old"' EXIT
git worktree add --quiet --detach "$old/tree" 5a40820
cp internal/store/storetest/bench.go "$old/tree/internal/store/storetest/"
for store in sqlite postgres; do
	cp "bench/directory/old_${store}_test.go.txt" "$old/tree/internal/store/$store/directory_bench_test.go"
done
for round in $(seq "${1:-3}"); do
	for store in sqlite postgres; do
		for tree in "$old/tree" "$here"; do
			name=documents
			[ "$tree" = "$here" ] || name=tables
			(cd "$tree" && go test "./internal/store/$store" -run XXX -bench 'Directory$' -benchtime 2s) |
				sed -n "s|^BenchmarkDirectory|$round $store $name |p"
		done
	done
done
