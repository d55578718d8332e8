module github.com/stoa-io/stoa

go 1.26
