-- The arithmetic of core/budgets.py for the server: one script for one acquire, on the server's clock.
-- KEYS: the budgets. ARGV: one text, its words longest, margin, background, token, lease, origin, cold, then terms (one line of JSON) and cost of each.
-- Answers one line: ok wait blocked total epoch left opened total ... (a client reads one text much faster than a list).
local TRIPS, PROBE, NEVER, ENTRIES, AGAIN, BOOKED, IDLE = 5, 1.0, math.huge, 100, 0.03, 0.02, 7200
local EVEN, STOP, LEFT, ENDS, OPENS, TOTAL, EPOCH, PACE = 1, 2, 3, 4, 5, 6, 7, 8
local LAST, REFUSED, COUNTED, PEAK, SPAN, LOG, LEASES = 9, 10, 11, 12, 13, 14, 15
local KIND, AMOUNT, PER, BURST, RESERVE = 1, 2, 3, 4, 5

local WORDS = {}
for word in string.gmatch(ARGV[1], '%S+') do WORDS[#WORDS + 1] = word end

local time = redis.call('TIME')
local now = tonumber(time[1]) - tonumber(WORDS[6]) + tonumber(time[2]) / 1000000
local longest, caution = tonumber(WORDS[1]), tonumber(WORDS[2])
local background, token, lease = WORDS[3] == '1', WORDS[4], tonumber(WORDS[5])
local cold = tonumber(WORDS[7])

local function load(key)
  local text = redis.call('GET', key)
  if text then
    local level = cjson.decode(string.sub(text, string.find(text, '\n', 1, true) + 1))
    if math.max(level[STOP], level[OPENS], level[LAST], level[REFUSED]) <= now + IDLE then return level end
  end
  return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {}, {}}
end

local function sized(terms, level)
  if terms[KIND] == 'learned' or level[PEAK] <= 0 then return terms[AMOUNT], terms[PER], terms[BURST] end
  local per, burst = terms[PER], terms[BURST] * (level[PEAK] / terms[AMOUNT])
  if level[SPAN] > 0 then per = level[SPAN] end
  if terms[KIND] ~= 'bucket' then burst = math.floor(burst) end
  return level[PEAK], per, burst
end

local function charge(terms, level, cost)
  local kind = terms[KIND]
  if kind == 'learned' or kind == 'circuit' or kind == 'concurrency' then return cost end
  local amount, _, burst = sized(terms, level)
  return math.min(cost, kind == 'bucket' and burst or amount)
end

local function slack(terms)
  return math.min(caution, terms[KIND] == 'bucket' and 0.02 or math.max(0.02, 0.01 * terms[PER]))
end

local function live(log, from)
  local entries = {}
  for _, entry in ipairs(log) do if entry[1] >= from then entries[#entries + 1] = entry end end
  return entries
end

local function room(entries, burst, cost, at, stretch)
  local used = 0
  for _, entry in ipairs(entries) do used = used + entry[2] end
  for _, entry in ipairs(entries) do
    if used + cost <= burst then break end
    used = used - entry[2]
    at = math.max(at, entry[1] + stretch)
  end
  return used + cost <= burst and at or NEVER
end

local function earliest(terms, level, cost)
  local kind, margin = terms[KIND], slack(terms)
  if kind == 'circuit' then return level[LEFT] >= TRIPS and math.max(now, level[OPENS]) or now end
  local at = math.max(now, level[STOP], level[OPENS])
  if level[PACE] > 0 then at = math.max(at, level[LAST] + level[PACE]) end
  local held = background and terms[RESERVE] or 0
  if kind == 'concurrency' then
    local used = 0
    for name, last in pairs(level[LEASES]) do
      if last <= now then level[LEASES][name] = nil else used = used + 1 end
    end
    return used + 1 <= math.max(terms[AMOUNT] * (1 - held), 1) and at or NEVER
  end
  local amount, per, burst = sized(terms, level)
  cost = charge(terms, level, cost)
  if kind == 'bucket' then
    at = math.max(at, level[EVEN] + (cost - math.max(burst * (1 - held), cost)) * (per / amount) + margin)
  end
  local told = level[ENDS] > now
  if told and at < level[ENDS] and level[LEFT] - level[PEAK] * held < cost then at = level[ENDS] + margin end
  local paced = amount > burst and level[EVEN] or NEVER
  if (kind == 'sliding' or kind == 'fixed') and paced > at then
    local free = math.max(burst * (1 - held), math.min(cost, burst))
    local entries = level[LOG]
    if kind == 'fixed' and level[ENDS] > 0 and level[ENDS] <= at then entries = live(entries, level[ENDS]) end
    at = math.max(at, math.min(paced, room(entries, free, cost, at, per + margin)))
    if kind == 'fixed' and told and at > level[ENDS] + margin then
      local new = level[ENDS] + margin
      at = math.max(new, math.min(paced, room(live(level[LOG], level[ENDS]), free, cost, new, per + margin)))
    end
  end
  return at
end

local function note(log, at, cost, slice)
  local last = log[#log]
  if #log >= ENTRIES and at - last[1] >= 0 and at - last[1] <= slice then
    log[#log] = {at, last[2] + cost}
    return
  end
  local position = #log
  while position > 0 and (log[position][1] > at or (log[position][1] == at and log[position][2] > cost)) do
    position = position - 1
  end
  table.insert(log, position + 1, {at, cost})
end

local function count(terms, level, cost, at, margin)
  local learned = terms[KIND] == 'learned' and level[PEAK] > 0
  if at < level[ENDS] then
    level[LEFT] = level[LEFT] - cost
  elseif not learned then
    if level[ENDS] <= now then level[ENDS] = 0 end
  elseif level[ENDS] > now and level[LEFT] >= cost then
    level[LEFT] = level[LEFT] - cost
  else
    level[OPENS] = level[ENDS] > now and level[ENDS] + margin or 0
    level[ENDS] = math.max(level[ENDS], now) + level[SPAN]
    level[LEFT] = level[PEAK] - cost
  end
end

local function commit(terms, level, cost, at)
  local kind, margin = terms[KIND], slack(terms)
  if kind == 'circuit' then
    if level[LEFT] >= TRIPS then level[OPENS] = at + PROBE end
    return 0
  end
  local amount, per, burst = sized(terms, level)
  local opened = false
  cost = charge(terms, level, cost)
  if kind == 'bucket' then
    opened = level[EVEN] <= now
    local full = at > level[EVEN] + margin and at or level[EVEN]
    level[EVEN] = full + cost * (per / amount) + (opened and cold or 0)
  elseif kind == 'sliding' or kind == 'fixed' then
    if kind == 'fixed' and level[ENDS] > 0 and level[ENDS] <= now then level[LOG] = live(level[LOG], level[ENDS]) end
    while level[LOG][1] and level[LOG][1][1] <= now - per - margin do table.remove(level[LOG], 1) end
    opened = #level[LOG] == 0 and level[EVEN] <= now - per
    if level[EVEN] <= at and amount > burst then
      level[EVEN] = at + cost * ((per + margin) / (amount - burst))
    else
      note(level[LOG], at, cost, per / ENTRIES)
    end
  end
  if level[ENDS] > 0 then count(terms, level, cost, at, margin) end
  if level[PACE] > 0 then
    local idle = math.max(at - level[LAST] - level[PACE], 0)
    local quicker = 1 - 5e-6 * (level[TOTAL] - level[COUNTED]) - idle / 300
    level[PACE] = (quicker > 0 and level[PACE] > 0.001) and level[PACE] * quicker or 0
  end
  level[TOTAL] = level[TOTAL] + cost
  level[LAST] = math.max(level[LAST], at)
  return opened and 1 or 0
end

local asks, at, blocked = {}, now, 0
for position, key in ipairs(KEYS) do
  local ask = {text = WORDS[6 + 2 * position], cost = tonumber(WORDS[7 + 2 * position]), level = load(key)}
  ask.terms = cjson.decode(ask.text)
  asks[position] = ask
  local moment = earliest(ask.terms, ask.level, ask.cost)
  if moment > at then at, blocked = moment, position - 1 end
end

local function answer(ok, wait, marks)
  local said = {ok, string.format('%.6f', wait), blocked}
  for _, mark in ipairs(marks) do said[#said + 1] = string.format('%.6f', mark) end
  return table.concat(said, ' ')
end

if at == NEVER then return answer(0, AGAIN, {}) end
if at > now and asks[blocked + 1].terms[KIND] == 'circuit' then return answer(0, at - now, {}) end
if at - now > (background and BOOKED or longest) then return answer(0, at - now, {}) end
local marks = {}
for position, key in ipairs(KEYS) do
  local ask = asks[position]
  local terms, level = ask.terms, ask.level
  local opened = commit(terms, level, ask.cost, at)
  if terms[KIND] == 'concurrency' then level[LEASES][token] = at + lease end
  if terms[KIND] ~= 'circuit' or level[LEFT] > 0 then
    local keep = math.ceil(math.max(IDLE, terms[PER])) + 1
    redis.call('SET', key, ask.text .. '\n' .. cjson.encode(level), 'EX', keep)
  end
  for _, mark in ipairs({level[TOTAL], level[EPOCH], level[LEFT], opened}) do marks[#marks + 1] = mark end
end
return answer(1, at - now, marks)
