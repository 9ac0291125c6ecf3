module github.com/mpflags/mpflags/bindings/go

go 1.25.0

require github.com/open-feature/go-sdk v1.18.0

require go.uber.org/mock v0.6.0 // indirect
