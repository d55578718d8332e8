#!/usr/bin/env bash
# Looks for known vulnerabilities in the Go code that each module reaches. Fails if it
# finds one, and also if it cannot read the vulnerability database.
set -euo pipefail
cd "$(dirname "$0")/.."

database=${STOA_VULN_DATABASE:-https://vuln.go.dev}
govulncheck=$PWD/bin/tools/govulncheck

for module in . test/compat/go; do
  status=0
  (cd "$module" && "$govulncheck" -db "$database" ./...) || status=$?
  case $status in
    0) echo "ok  govulncheck ($module)" ;;
    3) echo "vuln.sh: module $module has known vulnerabilities, see above" >&2; exit 1 ;;
    *)
      echo "vuln.sh: module $module was NOT checked; is the database $database reachable?" >&2
      echo "vuln.sh: STOA_VULN_DATABASE names another one, also as file:///path" >&2
      exit 1
      ;;
  esac
done
