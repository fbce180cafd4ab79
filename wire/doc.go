// Package wire is the vocabulary that both sides of the HTTP surface share:
// paths, header and cookie names, claims, error codes and JSON bodies. It holds
// no behaviour but the one rule for permissions, [Covers]. Golden files in
// testdata pin every JSON shape; changing one is a change of the public promise
// (CHANGELOG.md).
package wire
