#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many TCP transfers at once, each checked by a hash of what was received.

    transfers.py serve PORT                         says "ready", serves until it is killed
    transfers.py fetch ADDRESS PORT COUNT PARALLEL  prints "COUNT good, N bad" and what went wrong

A client sends its number and some bytes; the server answers with the hash of those bytes and with
bytes of its own; both are made from the number, so either side knows what is right.
"""
import asyncio
import hashlib
import random
import sys

SERVED_S = 240      # a transfer that takes longer hangs


def body(kind, number):
    source = random.Random('%s %d' % (kind, number))
    return source.randbytes(source.choice([0, 1, 500, 3000, 20000, 60000]))


def digest(data):
    return hashlib.sha256(data).digest()


async def serve_one(reader, writer):
    try:
        number = int.from_bytes(await reader.readexactly(4), 'big')
        length = int.from_bytes(await reader.readexactly(4), 'big')
        data = await reader.readexactly(length)
        answer = body('down', number)
        writer.write(digest(data) + len(answer).to_bytes(4, 'big') + answer)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    writer.close()


async def serve(port):
    server = await asyncio.start_server(serve_one, '0.0.0.0', port, backlog=1024)
    print('ready', flush=True)
    async with server:
        await server.serve_forever()


async def fetch_one(address, port, number):
    reader, writer = await asyncio.open_connection(address, port)
    data = body('up', number)
    writer.write(number.to_bytes(4, 'big') + len(data).to_bytes(4, 'big') + data)
    await writer.drain()
    echo = await reader.readexactly(32)
    answer = await reader.readexactly(int.from_bytes(await reader.readexactly(4), 'big'))
    rest = await reader.read()
    writer.close()
    await writer.wait_closed()
    if echo != digest(data) or answer != body('down', number) or rest:
        raise ValueError('wrong bytes')


async def fetch(address, port, count, parallel):
    gate, wrong = asyncio.Semaphore(parallel), []

    async def one(number):
        async with gate:
            try:
                await asyncio.wait_for(fetch_one(address, port, number), SERVED_S)
            except Exception as error:
                wrong.append('%d: %r' % (number, error))
    await asyncio.gather(*[one(number) for number in range(count)])
    print('%d good, %d bad' % (count - len(wrong), len(wrong)))
    for line in wrong[:10]:
        print(line)


if __name__ == '__main__':
    if sys.argv[1] == 'serve':
        asyncio.run(serve(int(sys.argv[2])))
    else:
        asyncio.run(fetch(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])))
