module waybill.example/goclient

go 1.19
