-- Unicode, whatever the server's default is (D12).
set names utf8mb4 collate utf8mb4_bin
