-- wrk: create small pods with names of their own, which no scheduler looks at: only the API and its store work.
-- Environment: TOKEN, NAMESPACE, RUN (makes the names of two runs differ).
local token = os.getenv("TOKEN")
local path = "/api/v1/namespaces/" .. os.getenv("NAMESPACE") .. "/pods"
local prefix = "load-" .. os.getenv("RUN") .. "-"
local sent = 0
local refused = 0

wrk.headers["Authorization"] = "Bearer " .. token
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json"

local template = [[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","labels":{"app":"load","shard":"%d"}},]] ..
  [["spec":{"schedulerName":"nobody","containers":[{"name":"main","image":"load:none","command":["sleep","3600"],]] ..
  [["env":[{"name":"MODE","value":"load"}],"resources":{"requests":{"cpu":"10m","memory":"16Mi"}}}]}}]]

function request()
  sent = sent + 1
  return wrk.format("POST", path, nil, string.format(template, prefix .. sent, sent % 10))
end

function response(status, _, body)
  if status ~= 201 then
    refused = refused + 1
    if refused <= 3 then io.stderr:write("create was refused with " .. status .. ": " .. body:sub(1, 200) .. "\n") end
  end
end
