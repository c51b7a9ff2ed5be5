module govultrcheck

go 1.24

require github.com/vultr/govultr/v3 v3.34.0
