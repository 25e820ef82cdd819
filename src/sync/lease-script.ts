/** The script that grants leases inside of Redis, atomically, for many limits of one pod in one call. */

import { MeterAlgorithm as of } from '../native/meters.ts';

/** Lua, as Redis 7 and Valkey run it. See docs/internals/leases.md. */
export const leaseScript = `-- Grants leases of shared limits: Redis' half of docs/internals/leases.md, one call for many limits of one pod.
--
-- KEYS[1] the clock, KEYS[2] the pods, KEYS[3] the version of the stored keys, KEYS[4…] one hash per limit, all in one
-- slot.
-- ARGV[1] the pod's id, ARGV[2] packed doubles: a head, then an item for each limit.
-- Gives packed doubles: a head, then an answer for each limit.
if not redis.REDIS_VERSION_NUM then
  return redis.error_reply('TOOOLD Redis 7.0 or later is needed')
end
local unpack_, pack = struct.unpack, struct.pack
local floor, ceil, max, min, huge = math.floor, math.ceil, math.max, math.min, math.huge
local pod, blob = ARGV[1], ARGV[2]
-- Ms since the pod's last call, below 0: unknown; what the clock must show at least; how long leases last; what a pod
-- waits between calls.
local passed, atLeast, leaseMs, tickMs = unpack_('<dddd', blob)
local PARTS = 60

-- The clock: Redis' own, which never runs backwards, and goes on no faster than the caller's monotonic clock says.
local time = redis.call('TIME')
local wall = time[1] * 1000 + time[2] / 1000
local clock = redis.call('GET', KEYS[1])
local now, last = wall, wall
if clock and #clock == 16 then
  now, last = unpack_('<dd', clock)
  local step = max(0, wall - last)
  -- No more can have passed since the last call than since this pod's own: then the clock was set, and nobody knows
  -- how long it was.
  -- A pod that is new can't tell; those that are there call once a tick.
  if passed < 0 then step = min(step, tickMs)
  elseif step > passed then step = (step > passed + 1000) and 0 or passed end
  now = now + step
  -- A call that was held up confirms less than what passed, and takes the rest away. A pod that was told the time, and
  -- has counted since, gives it back: not more, in case this is another Redis with another time.
  if atLeast > now and atLeast - now < 600000 then now = atLeast end
end
redis.call('SET', KEYS[1], pack('<dd', now, wall), 'PX', 86400000)
redis.call('ZADD', KEYS[2], now + 3 * leaseMs, pod)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('PEXPIRE', KEYS[2], 86400000)
local pods = redis.call('ZCARD', KEYS[2])

local STATE, ENTRY = '<ddddddddddddddd', '<dddddddd'
local STATE_BYTES, ENTRY_BYTES = 120, 64
-- Nobody reported for so long: there was an outage.
local GAP_MS = 1500
local BUCKET, LEAKY, WINDOW, CONCURRENCY, BUDGET = ${[
  of.TokenBucket,
  of.LeakyBucket,
  of.SlidingWindow,
  of.Concurrency,
  of.Budget,
].join(', ')}

-- Parts of a sliding window: number and amount, oldest first.
local function readParts(text, from, first)
  local parts, sum, at = {}, 0, from
  while at + 15 <= #text do
    local part, amount = unpack_('<dd', text, at)
    if part >= first then
      parts[#parts + 1] = { part, amount }
      sum = sum + amount
    end
    at = at + 16
  end
  return parts, sum
end

local function addPart(parts, part, amount)
  local newest = parts[#parts]
  if newest and newest[1] >= part then newest[2] = newest[2] + amount
  else parts[#parts + 1] = { part, amount } end
end

-- Takes back what a part was charged with, as far as it is there.
local function takeBack(parts, part, amount)
  for at = 1, #parts do
    if parts[at][1] == part then
      local some = min(parts[at][2], amount)
      parts[at][2] = parts[at][2] - some
      return some
    end
  end
  return 0
end

-- The largest demand that is served in full, so that all together get supply (max-min fairness).
local function waterLevel(demands, supply)
  table.sort(demands)
  local left, n = supply, #demands
  for i = 1, n do
    local level = left / (n - i + 1)
    if demands[i] > level then return level end
    left = left - demands[i]
  end
  return huge
end

local version = redis.pcall('GET', KEYS[3])
version = type(version) == 'string' and tonumber(version) or 0

local out = { pack('<dddd', wall, now, pods, version) }
local FOREIGN = pack('<ddddddddd', 1, 0, 0, 0, 0, 0, 0, 0, 0)

for i = 4, #KEYS do
  local key = KEYS[i]
  local kind, capacity, rate, ttlMs, incarnation, used, acked, reserved, keep, want, demand, largest, known, outage, gen =
    unpack_('<ddddddddddddddd', blob, 33 + (i - 4) * 120)
  local got = redis.pcall('HMGET', key, 's', pod)
  local state, entry = got[1], got[2]
  if got.err or (state and (#state < STATE_BYTES or (#state - STATE_BYTES) % 16 ~= 0))
    or (entry and #entry ~= ENTRY_BYTES) then
    out[#out + 1] = FOREIGN
  else
    -- What is there in all (for a bucket its level with what is leased), when, what is leased, and of the last sweep:
    -- when, water level, sum of demands, number of pods. expires: when the key does. born: tells this state from one
    -- that was lost. before: the capacity then. flowed: what became free in all; flow: about what did in the last tick. shares:
    -- sum of the parts of the limit that pods go on with if Redis is gone. lost: what a bucket could not hold of what came
    -- back while nobody reported.
    local level, at, leased, sweptAt, water, demands, sharers, expires, born, spent, before, flowed, flow, shares, lost
    local parts
    local inflow = 0
    local head = (kind == WINDOW and floor(now / rate * PARTS)) or 0
    if state then
      level, at, leased, sweptAt, water, demands, sharers, expires, born, spent, before, flowed, flow, shares, lost =
        unpack_(STATE, state)
    else
      level, at, leased, sweptAt, water, demands, sharers, expires, born, spent, before, flowed, flow, shares, lost =
        capacity, now, 0, -1, huge, 0, 0, 0, wall, 0, capacity, 0, 0, 0, 0
    end
    if at > now then at = now end
    if kind == WINDOW then
      local sum
      parts, sum = readParts(state or '', STATE_BYTES + 1, head - PARTS)
      inflow = max(0, spent - sum)
      spent = sum
    end
    local function use(amount)
      if kind == BUCKET then level = level - amount
      elseif kind == WINDOW then
        addPart(parts, head, amount)
        spent = spent + amount
      elseif kind == BUDGET then spent = spent + amount end
    end
    -- A bucket whose capacity was changed keeps what is missing; it refills no further than what is leased leaves.
    if kind == BUCKET then
      local from = min(capacity, level + capacity - before)
      local refilled = from + (now - at) / 1000 * rate
      level = min(capacity, refilled)
      inflow = level - from
      lost = lost * 2.718281828 ^ (-(now - at) / 10000)
      if now - at > GAP_MS then lost = lost + refilled - level end
    end
    before = capacity
    flowed = flowed + inflow
    flow = flow * 2.718281828 ^ (-(now - at) / tickMs) + inflow

    -- Whether a pod's part holds only a few requests, so that each asks by itself: of a budget a part of what is left, as
    -- slices of its end would each be too small for a request. Each pod's part of what becomes free then grows until it
    -- holds one, of a pod that is new at once.
    local few = largest * 4 > ((kind == BUDGET) and max(0, capacity - spent) or capacity) / pods
    local newcomer = few and largest * max(1, sharers) or flow
    local hold, untilAt, counted, grantedAt, charged, told = 0, now, acked, flowed - newcomer, 0, 0
    if entry then
      local demanded, inc
      hold, untilAt, counted, grantedAt, charged, demanded, inc, told = unpack_(ENTRY, entry)
      -- A limit that was dropped and opened anew in the pod counts from 0 again.
      -- One that knows nothing of this state has told another Redis meanwhile what that has confirmed.
      if inc ~= incarnation then counted = acked
      elseif gen == 0 then counted = max(counted, acked) end
      if grantedAt > flowed then grantedAt = flowed end
    end
    leased = leased - hold
    local heldBefore = hold
    shares = shares - told
    local debit = max(0, used - counted)
    if charged > 0 then
      -- The lease had expired, and counted as used: now it is known what of it was. A bucket has refilled since, so
      -- that nothing is given back.
      if kind == BUCKET then debit = max(0, debit - charged)
      elseif kind == WINDOW then spent = spent - takeBack(parts, floor(untilAt / rate * PARTS), charged)
      elseif kind == BUDGET then spent = max(0, spent - charged) end
    end
    -- What Redis has lost is refilled from what the pod knows: up to the larger figure.
    if gen ~= born then
      local missing = (kind == BUCKET and capacity - level) or spent
      if (gen ~= 0 or kind == BUDGET) and known > missing then use(known - missing) end
      if not state and gen ~= 0 and known < 0 then lost = -known end
    end
    -- What came back during an outage was used meanwhile, as far as the bucket could not hold it.
    if kind == BUCKET and outage > 0 then
      local found = min(outage, debit, lost)
      lost = lost - found
      debit = debit - found
    end
    use(debit)

    -- From time to time: leases that expired count as used, and the demands of all pods are compared.
    if sweptAt < 0 or now - sweptAt >= max(1000, sharers * 20) then
      local all = redis.call('HGETALL', key)
      local list, seldom = {}, 0
      leased, demands, shares = 0, 0, 0
      for f = 1, #all, 2 do
        local name, text = all[f], all[f + 1]
        if name ~= 's' and name ~= pod and #text == ENTRY_BYTES then
          local h, u, c, g, ch, d, inc, part = unpack_(ENTRY, text)
          if u >= now and u <= now + 2 * leaseMs then
            leased = leased + h
            shares = shares + part
            list[#list + 1] = d
            demands = demands + d
          elseif h > 0 then
            use(h)
            redis.call('HSET', key, name, pack(ENTRY, 0, now, c, g, ch + h, 0, inc, 0))
          elseif now - u > 600000 or u > now + 2 * leaseMs then
            redis.call('HDEL', key, name)
          elseif few and now - u < 60000 then
            -- A pod that asks seldom keeps its part of a limit that is too small to slice.
            seldom = seldom + 1
          end
        end
      end
      list[#list + 1] = demand
      sharers = #list + seldom
      demands = demands + demand
      local supply = (kind == WINDOW and capacity / rate * 1000) or (kind == BUCKET and rate)
        or (kind == CONCURRENCY and capacity) or huge
      water = (demands > supply) and waterLevel(list, supply) or huge
      if water < huge then demands = supply end
      sweptAt = now
    elseif not entry then
      sharers = sharers + 1
    end

    -- This pod's part by demand, and its cap: what all hold unused together stays within a tenth of the limit, or of
    -- what flows in between two calls.
    local part = min(demand, water)
    local weight = (demands > 0) and min(1, part / max(demands, part)) or 1 / sharers
    local supply = (kind == WINDOW and capacity / rate * 1000) or (kind == BUCKET and rate) or 0
    local total = (kind == BUCKET and level) or (capacity - spent)
    -- A bucket refills only what nobody holds. Where it is scarce, less is held of it, so that its level stays low and
    -- a pod that is late costs nothing.
    local ticks = (kind == BUCKET and water < huge) and 1.5 or 3
    local tenth = 0.1 * ((kind == BUDGET) and max(0, total) or capacity)
    local slices = max(tenth, ticks * supply * tickMs / 1000)
    -- Where there is room each pod may hold an equal part of the tenth, for bursts.
    local cap = reserved + max(largest, weight * slices, (water == huge) and tenth / pods or 0)
    local room = total - leased - keep
    local allowed, rest = room, 0
    local equal, grown = 1 / sharers, flowed - grantedAt
    -- The most that the pod may hold of what counts what is in flight, where others wait: its part.
    local most = huge
    if water < huge then
      if kind == CONCURRENCY then
        most = few and floor(part) or ceil(part)
        cap = min(cap, max(reserved + (few and largest or 0), most))
        -- What it gives back of more than that is for whoever asks next, which it may be.
        if few and heldBefore > keep then allowed = min(room, max(0, most - keep)) end
      elseif few then
        grown = min(grown, 2 * largest * sharers)
        grantedAt = flowed - grown
        -- What is left to those whose part holds one.
        rest = max(0, min(1.5 * largest, capacity - 2 * largest))
        allowed = min(room, max(equal * grown, room - rest))
      else
        -- Scarce: each pod gets its part of what became free since its last grant; of the rest whoever asks.
        allowed = min(room, max(weight * min(grown, 3 * max(flow, supply * tickMs / 1000)), room - 0.3 * flow))
      end
    end
    -- Requests that ask by themselves use at once what they get.
    if few and water == huge then cap = max(cap, want) end
    local grant = max(0, min(want - keep, cap - keep, allowed))
    if few and grant < min(want - keep, largest) then grant = 0 end
    local frees = 0
    if few then
      grantedAt = min(flowed, grantedAt + grant * sharers)
      if kind == BUCKET and grant < want - keep then
        local need = min(want - keep, largest)
        local byPart = max(need - room, need / equal - grown)
        frees = max(1, min(need + rest - room, byPart) / rate * 1000)
      end
    elseif grant > 0 or want <= keep then grantedAt = flowed end
    hold = keep + grant
    leased = leased + hold

    local tail = ''
    if kind == WINDOW then
      local texts = {}
      for p = 1, #parts do
        if parts[p][2] ~= 0 then
          texts[#texts + 1] = pack('<dd', parts[p][1], parts[p][2])
          if frees == 0 then frees = (parts[p][1] + PARTS + 1) * (rate / PARTS) - now end
        end
      end
      tail = table.concat(texts)
    end
    local renews = now > expires - ttlMs / 2 or expires > now + ttlMs
    if renews then expires = now + ttlMs end
    -- Half by demand, half equal; but no more than others leave, who may have heard of fewer pods.
    local share = max(0.01 / pods, min(0.5 * weight + 0.5 / pods, 1 - shares))
    redis.call('HSET', key,
      's', pack(STATE, level, now, leased, sweptAt, water, demands, sharers, expires, born, spent, before, flowed, flow,
        shares + share, lost) .. tail,
      pod, pack(ENTRY, hold, now + leaseMs, max(used, counted), grantedAt, 0, demand, incarnation, share))
    if renews then redis.call('PEXPIRE', key, ttlMs) end
    local gone = (kind == BUCKET and capacity - level) or (kind == CONCURRENCY and leased) or spent
    -- What is in flight beyond its part stays leased until it ends, but nothing follows it.
    local may = (grant > 0) and hold or min(hold, most)
    out[#out + 1] =
      pack('<ddddddddd', 0, may, max(0, total - leased), max(0, gone), leased, frees, share, pods, born)
  end
end
return table.concat(out)
`;
