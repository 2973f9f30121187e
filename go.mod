module github.com/purserhq/purser

go 1.26
