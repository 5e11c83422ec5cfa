"""TLS before a server that has none.

    tls.py CERTIFICATES PORT NAME...    forwards to 127.0.0.1:PORT, on a port of its own for each certificate of that name
                                        (NAME.pem, NAME.key), and prints these ports
It ends when its standard input does.
"""

import asyncio
import ssl
import sys


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def forwarding(port):
    async def forward(reader, writer):
        try:
            there, here = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return writer.close()
        await asyncio.gather(copy(reader, here), copy(there, writer))

    return forward


async def main(certificates, port, *names):
    ports = []
    for name in names:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{certificates}/{name}.pem", f"{certificates}/{name}.key")
        server = await asyncio.start_server(forwarding(int(port)), "127.0.0.1", 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
    print(*ports, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
